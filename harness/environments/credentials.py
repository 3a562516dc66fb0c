"""Removing user names, passwords and tokens of indexes and proxies from all that is shown or stored."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping

CARRIERS = (
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS",
    "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy",
)  # fmt: skip
"""Variables whose URLs may contain credentials."""
USER = re.compile(r"(?<=://)[^/\s]*@")
QUERY = re.compile(r"(https?://[^\s?]+)\?[^\s`'\")]+")
"""A URL with a query, which may be a signature or a token."""


def without_password(url: str) -> str:
    """Return the URL without user name and password, fit to be shown and stored."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def without_passwords(text: str, variables: Mapping[str, str]) -> str:
    """Remove user names, passwords, tokens and queries from all URLs in uv's output.

    Args:
        variables: uv's environment variables; uv repeats a value that it cannot read as a URL.
    """
    for given in sorted(_given(variables), key=len, reverse=True):
        before, _, after = given.rpartition("@")
        scheme, found, _ = before.partition("://")
        text = text.replace(given, scheme + found + after if found else after)
    return QUERY.sub(r"\1", USER.sub("", text))


def _given(variables: Mapping[str, str]) -> set[str]:
    """Return the values that may contain credentials, whole and split into single URLs."""
    values = [variables.get(name, "") for name in CARRIERS]
    parts = {part for value in values for part in (value, *value.split(), *value.split(","))}
    return {part for part in parts if "@" in part and not part.startswith("file:")}
