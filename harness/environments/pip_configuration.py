"""Pass on pip's package sources to uv, which does not read pip's configuration.

Passed on are the sources (``index-url``, ``extra-index-url``, ``no-index``, ``find-links``), whom to trust
(``cert``, ``client-cert``, ``trusted-host``), the proxy (``proxy``, ``no-proxy-env``) and
``keyring-provider``, as they apply to ``pip install``. Nothing else is: a constraint or a setting that
allows previews would change what is judged. Settings for uv, by variable or ``uv.toml``, win.

The files are read here, by the rules that pip documents, and not with ``pip config list``. An interpreter
may have no pip; newer versions list what every file says, but not which file overrides which; and all
versions copy it, passwords included, to pip's log if there is one.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
import tomllib
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from harness.core.errors import HarnessError

TAKEN = (
    "index-url", "extra-index-url", "no-index", "find-links", "cert", "client-cert", "trusted-host",
    "proxy", "no-proxy-env", "keyring-provider",
)  # fmt: skip
OTHER_NAMES = {"pypi-url": "index-url"}
TRUE = ("1", "on", "t", "true", "y", "yes")
SECTIONS = ("global", "install")
"""Those that apply to ``pip install``; the later one overrides the earlier, whichever files they are in."""
NOWHERE = "file:///nonexistent"
"""An index without packages. uv's ``--no-index`` would also close the index that Paddle's builds are taken
from by name."""
PROXIES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
HOST = re.compile(r"[^\s:\[\]]+(:\d+)?")
"""A trusted host that uv can read; uv would stop at any other."""
OF_UV_TOML = {
    "index-url": "UV_INDEX_URL",
    "no-index": "UV_INDEX_URL",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
    "index-strategy": "UV_INDEX_STRATEGY",
    "keyring-provider": "UV_KEYRING_PROVIDER",
}
"""Settings of ``uv.toml``, and the variables that say the same."""


def handed_on(variables: dict[str, str]) -> dict[str, str]:
    """Return variables for uv: the caller's, with what pip's configuration adds to them.

    pip takes the best version that any of its indexes has, and of equal versions that of the last index;
    so does uv here. As in pip, the configured proxy replaces that of the variables and its exceptions, and
    folders of ``find-links`` that do not exist are left out. An index that cannot be reached is reported or
    an error, where pip goes on without it: which index answered must not silently decide what is judged.

    Raises:
        HarnessError: a file of pip's configuration is broken.
    """
    options = settings()
    set_for_uv = {name for name, value in variables.items() if value} | _set_by_files(variables)
    added = {**_indexes(options, set_for_uv), **_trust(options, set_for_uv)}
    places = filter(None, map(_place, options.get("find-links", "").split()))
    # uv splits the list at commas.
    added["UV_FIND_LINKS"] = ",".join(place.replace(",", "%2C") for place in places)
    if options.get("keyring-provider") == "subprocess":  # the one that uv has too
        added["UV_KEYRING_PROVIDER"] = "subprocess"
    kept = dict(variables)
    proxy = options.get("proxy", "")
    if proxy or options.get("no-proxy-env", "").lower() in TRUE:
        kept = {name: value for name, value in kept.items() if name.upper() not in PROXIES}
    if proxy:
        kept["HTTP_PROXY"] = kept["HTTPS_PROXY"] = proxy
    return kept | {name: value for name, value in added.items() if value and name not in set_for_uv}


def settings() -> dict[str, str]:
    """Return the options in :data:`TAKEN` as ``pip install`` would use them; empty values are ignored.

    Variables override the sections of all files; in one section the later file overrides the earlier.

    Raises:
        HarnessError: a file is broken; pip does not start then either.
    """
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for path in files():
        parser = configparser.RawConfigParser()
        try:
            parser.read(path)
        except (configparser.Error, UnicodeDecodeError):
            # Without its cause, which repeats the line: there may be a password in it.
            raise HarnessError(
                f"pip's configuration {path} is broken: correct it (`pip config debug` says where), or do "
                f"without any with PIP_CONFIG_FILE={os.devnull}"
            ) from None
        for section in filter(parser.has_section, SECTIONS):
            found[section].update({_name(name): value for name, value in parser.items(section)})
    variables = {_name(name[4:]): value for name, value in os.environ.items() if name.startswith("PIP_")}
    effective: dict[str, str] = {}
    for options in (*found.values(), variables):
        effective.update({name: value for name, value in options.items() if value and name in TAKEN})
    return effective


def _name(text: str) -> str:
    name = text.lower().replace("_", "-").removeprefix("--")
    return OTHER_NAMES.get(name, name)


def files() -> list[str]:
    """Return the files that pip reads on Linux, existing or not; a later one overrides an earlier one."""
    named = os.environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    of_machine = platformdirs.site_config_dir("pip", appauthor=False, multipath=True).split(os.pathsep)
    of_user = [os.path.expanduser("~/.pip"), platformdirs.user_config_dir("pip", appauthor=False)]
    # A file named by PIP_CONFIG_FILE replaces the user's.
    folders = [*of_machine, "/etc", *([] if os.path.exists(named) else of_user), sys.prefix]
    return [*(os.path.join(folder, "pip.conf") for folder in folders), *([named] if named else [])]


def _indexes(options: dict[str, str], set_for_uv: set[str]) -> dict[str, str]:
    if set_for_uv & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        return {}
    if options.get("no-index", "").lower() in TRUE:
        return {"UV_DEFAULT_INDEX": NOWHERE}
    added = {"UV_DEFAULT_INDEX": _index(options["index-url"])} if "index-url" in options else {}
    extra = options.get("extra-index-url", "").split()
    if extra and not set_for_uv & {"UV_INDEX", "UV_EXTRA_INDEX_URL"}:
        # Of equal versions uv takes the first index's and pip the last's; uv's default index comes last.
        added["UV_INDEX"] = " ".join(_index(url) for url in reversed(extra))
        added["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return added


def _trust(options: dict[str, str], set_for_uv: set[str]) -> dict[str, str]:
    hosts = options.get("trusted-host", "").split()
    added = {"UV_INSECURE_HOST": " ".join(host for host in hosts if HOST.fullmatch(host))}
    paths = {name: os.path.abspath(os.path.expanduser(value)) for name, value in options.items()}
    if "client-cert" in paths:
        added["SSL_CLIENT_CERT"] = paths["client-cert"]
    if "cert" in paths and "SSL_CERT_FILE" not in set_for_uv:
        added["SSL_CERT_DIR" if os.path.isdir(paths["cert"]) else "SSL_CERT_FILE"] = paths["cert"]
    return added


def _index(location: str) -> str:
    """Return an index as a URL that uv can read from any folder; a path names a folder."""
    return location if _is_remote(location) else _uri(_path(location))


def _place(location: str) -> str:
    """Return a place of ``find-links`` as a URL; '' if it does not exist: pip ignores it, uv would stop."""
    if _is_remote(location):
        return location
    path = _path(location)
    if not os.path.exists(path):
        path = os.path.expanduser(path)
    return _uri(path) if os.path.exists(path) else ""


def _is_remote(location: str) -> bool:
    return location.lower().startswith(("http://", "https://"))


def _path(location: str) -> str:
    if not location.lower().startswith("file:"):
        return location
    return urllib.request.url2pathname(urllib.parse.urlsplit(location).path)


def _uri(path: str) -> str:
    return Path(os.path.abspath(path)).as_uri()


def _set_by_files(variables: dict[str, str]) -> set[str]:
    """Return the variables that would set the same sources as uv's configuration files."""
    found = set()
    for path in _files_of_uv(variables):
        try:
            content = tomllib.loads(path.read_text())
        except (OSError, ValueError):  # uv reports what is wrong with it
            continue
        pip_table = content.get("pip")
        keys = {*content, *(pip_table if isinstance(pip_table, dict) else {})}
        found |= {OF_UV_TOML[key] for key in keys & OF_UV_TOML.keys()}
        indexes = content.get("index")
        for index in filter(None, indexes if isinstance(indexes, list) else []):
            default = isinstance(index, dict) and index.get("default")
            found.add("UV_DEFAULT_INDEX" if default else "UV_INDEX")
    return found


def _files_of_uv(variables: dict[str, str]) -> Iterator[Path]:
    if variables.get("UV_CONFIG_FILE"):
        yield Path(variables["UV_CONFIG_FILE"])
    elif not variables.get("UV_NO_CONFIG"):
        of_machine = platformdirs.site_config_dir("uv", appauthor=False, multipath=True).split(os.pathsep)
        folders = [platformdirs.user_config_dir("uv", appauthor=False), *of_machine, "/etc/uv"]
        yield from (Path(folder) / "uv.toml" for folder in folders)
