"""Names, passwords and tokens of indexes and proxies, kept out of all that is shown or written down."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping

CARRIERS = (
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS",
    "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy",
)  # fmt: skip
"""Variables whose URLs may carry some."""
USER = re.compile(r"(?<=://)[^/\s]*@")
QUERY = re.compile(r"(https?://[^\s?]+)\?[^\s`'\")]+")
"""What follows a question mark signs or opens a URL, where it says anything at all."""


def without_password(url: str) -> str:
    """The URL as it may be shown and kept: without the name and password it may carry."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def without_passwords(text: str, variables: Mapping[str, str]) -> str:
    """What uv said, as it may be shown: no URL in it carries a name, a password, a token or a query.

    Args:
        variables: uv's; what uv cannot read as a URL it repeats as it stands in them.
    """
    for given in sorted(_given(variables), key=len, reverse=True):
        before, _, after = given.rpartition("@")
        scheme, found, _ = before.partition("://")
        text = text.replace(given, scheme + found + after if found else after)
    return QUERY.sub(r"\1", USER.sub("", text))


def _given(variables: Mapping[str, str]) -> set[str]:
    """All that may carry credentials, in whole and one by one."""
    values = [variables.get(name, "") for name in CARRIERS]
    parts = {part for value in values for part in (value, *value.split(), *value.split(","))}
    return {part for part in parts if "@" in part and not part.startswith("file:")}
