"""The sentences of the documents that checks decide: the tables ``claims.toml``."""

from __future__ import annotations

import functools
import tomllib

from harness.core.errors import HarnessError
from harness.core.extensions import places


@functools.cache
def claims() -> dict[str, str]:
    """Every claim id and its sentence, those of extensions among them.

    Raises:
        HarnessError: two tables state a claim of one id.
    """
    found: dict[str, str] = {}
    for table in places("claims.toml"):
        stated = tomllib.loads(table.read_text())["claims"]
        twice = ", ".join(sorted(found.keys() & stated.keys()))
        if twice:
            raise HarnessError(f"{table} states claims of another table ({twice}): give them other ids")
        found |= stated
    return found
