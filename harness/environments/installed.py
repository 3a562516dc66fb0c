"""What is installed in a folder of packages, and whether it was changed since.

Read from the folder itself, as the packaging standards lay it out: ``NAME-VERSION.dist-info/RECORD``
lists a package's files with their sizes and hashes.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

MOST_NAMED = 3


def packages(site: Path) -> dict[str, str]:
    """Return every package in the folder with its version, sorted by name."""
    found = (folder.name.removesuffix(".dist-info").rpartition("-") for folder in site.glob("*.dist-info"))
    return dict(sorted((str(canonicalize_name(name)), version) for name, _, version in found))


def fault(site: Path, expected: dict[str, str], deep: bool = False) -> str:
    """Return how the folder departs from what was installed there, or ''.

    Packages and versions must be the expected ones; every file that a package lists must be there
    with the size it had, and with its hash where ``deep``.
    """
    found = packages(site)
    for name in sorted({*expected, *found}):
        was, now = expected.get(name), found.get(name)
        if was != now:
            return f"{name} is {now or 'missing'} where {was or 'no ' + name} was installed"
    wrong = [
        problem for folder in sorted(site.glob("*.dist-info")) for problem in _faults(site, folder, deep)
    ]
    more = f" and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
    return ", ".join(wrong[:MOST_NAMED]) + more


def _faults(site: Path, folder: Path, deep: bool) -> Iterator[str]:
    try:
        rows = list(csv.reader((folder / "RECORD").read_text().splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error):
        yield f"{folder.name}/RECORD cannot be read"
        return
    for row in rows:
        name, digest, size = (*row, "", "", "")[:3]
        # Bytecode is written anew by each process that imports.
        if "__pycache__" not in name:
            problem = _file_fault(os.path.join(site, name), digest if deep else "", size)
            if problem:
                yield f"{name} {problem}"


def _file_fault(path: str, digest: str, size: str) -> str:
    try:
        now = os.stat(path).st_size
        if size and now != int(size):
            return f"has {now} bytes instead of {size}"
        method, _, expected = digest.partition("=")
        if method in hashlib.algorithms_available:
            with open(path, "rb") as content:
                found = hashlib.file_digest(content, method).digest()
            if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != expected:
                return "has other content"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError:
        return f"has no size in its package's list ({size!r})"
    return ""
