"""The page's facts about a run's environment: the expected ones first, then all the rest."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.core.containers import at
from harness.records.files import Run
from harness.report.wording import number

# Label, then its keys in the header. A missing fact is shown as "not recorded", so that a reader sees
# that, for example, the Paddle commit is unknown.
_EXPECTED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Paddle", ("paddle", "version")),
    ("Paddle commit", ("paddle", "commit")),
    ("Python", ("python",)),
    ("NumPy", ("numpy",)),
    ("CPU", ("cpu", "model")),
    ("Cores", ("cpu", "cores")),
    ("Threads", ("threads",)),
    ("Governor", ("cpu", "governor")),
    ("CPU flags", ("cpu", "flags")),
    ("Packages", ("packages",)),
    ("Load at start", ("cpu", "load1")),
)


class Fact(msgspec.Struct, frozen=True):
    """One line: ``text`` for a value; ``items`` for a list; ``table`` for a mapping."""

    label: str
    text: str = ""
    items: tuple[str, ...] = ()
    table: tuple[tuple[str, str], ...] = ()
    missing: bool = False

    @property
    def size(self) -> int:
        return len(self.items) + len(self.table)


class Facts(msgspec.Struct, frozen=True):
    """``expected`` facts in a fixed order, then all others from the worker, harness and options."""

    expected: tuple[Fact, ...]
    groups: tuple[tuple[str, tuple[Fact, ...]], ...]


def facts(run: Run) -> Facts:
    """Return every leaf of the header's dictionaries once, whatever their shape."""
    end = dict(run.footer.load) if run.footer is not None else {}
    shown = [_fact(label, at(run.header.environment, keys)) for label, keys in _EXPECTED]
    shown.append(_fact("Load at end", end.pop("load1", None)))
    rest = _without(run.header.environment, [keys for _, keys in _EXPECTED])
    groups = (
        ("Environment under test", walk(rest)),
        ("Harness", walk(run.header.harness)),
        ("Options", walk(run.header.options)),
        ("At the end of the run", walk(end)),
    )
    return Facts(tuple(shown), tuple((name, rows) for name, rows in groups if rows))


def walk(value: dict[str, Any], prefix: str = "") -> tuple[Fact, ...]:
    rows: list[Fact] = []
    for key, item in value.items():
        label = f"{prefix}{key}"
        if isinstance(item, dict) and any(isinstance(v, dict | list) for v in item.values()):
            rows.extend(walk(item, f"{label}."))
        elif not (fact := _fact(label, item)).missing:
            rows.append(fact)
    return tuple(rows)


def _fact(label: str, value: Any) -> Fact:
    if value in (None, "", [], {}):
        return Fact(label, missing=True)
    if isinstance(value, dict):
        return Fact(label, table=tuple((str(k), number(v)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return Fact(label, items=tuple(number(item) for item in value))
    return Fact(label, number(value))


def _without(value: dict[str, Any], taken: list[tuple[str, ...]]) -> dict[str, Any]:
    """Copy ``value`` without the leaves in ``taken``."""
    left: dict[str, Any] = {}
    for key, item in value.items():
        below = [keys[1:] for keys in taken if keys[0] == key]
        if () in below:
            continue
        left[key] = _without(item, below) if below and isinstance(item, dict) else item
    return left
