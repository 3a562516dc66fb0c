"""Indexes of Paddle's builds: finding the newest build, and taking only Paddle from an index."""

from __future__ import annotations

import re
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

import msgspec
from packaging.requirements import Requirement

from harness.core.errors import HarnessError
from harness.environments import uv
from harness.environments.credentials import without_password
from harness.environments.uv import Answer, Interpreter

NAME = "builds"


def newest(url: str, requirement: str, base: Interpreter) -> Answer:
    """Return the newest build of the index that fits the requirement and the interpreter, previews included.

    The answer's text is the version; it is offline where uv's cache named it.

    Raises:
        Unreachable: the index cannot be reached, and uv has cached nothing of it.
        HarnessError: it has none that fits.
    """
    package = Requirement(requirement).name
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "pyproject.toml"
        project.write_text(project_text((requirement,), package, url))
        answer = uv.run(
            "pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate", "--prerelease", "allow",
            "--only-binary", ":all:", "--python", base.path, str(project),
            cwd=Path(folder), what=f"{requirement} from {without_password(url)}",
        )  # fmt: skip
    found = re.search(rf"^{re.escape(package)}==(\S+)", answer.text, re.MULTILINE | re.IGNORECASE)
    if found is None:
        raise HarnessError(
            f"uv says nothing of {package} on {without_password(url)}: {answer.text.strip()[:200]}"
        )
    return Answer(found[1], answer.offline)


def project_text(requirements: tuple[str, ...], package: str, url: str = "") -> str:
    """Return a ``pyproject.toml`` for uv with the requirements; ``package`` is taken from ``url`` alone.

    ``url`` is an index with a page for each package, or a page (``.html``) or folder of wheels.
    """

    def quote(text: str) -> str:
        return msgspec.json.encode(text).decode()  # a JSON text is a TOML text as well

    lines = [
        "[project]",
        'name = "environment"',
        'version = "0"',
        f"dependencies = [{', '.join(map(quote, requirements))}]",
    ]
    if url:
        lines += [
            "[tool.uv.sources]",
            f'{quote(package)} = {{ index = "{NAME}" }}',
            "[[tool.uv.index]]",
            f'name = "{NAME}"',
            f"url = {quote(url)}",
            "explicit = true",
            *(['format = "flat"'] if _is_flat(url) else []),
        ]
    return "\n".join(lines) + "\n"


def _is_flat(url: str) -> bool:
    """Whether the wheels themselves are listed there, and not a page for each package."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        folder = Path(urllib.request.url2pathname(parts.path))
        if any(folder.glob("*.whl")):
            return True
    return parts.path.endswith(".html")
