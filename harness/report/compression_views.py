"""Arrange the rows of compressed models for the page: by technique and method, the best first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from harness.core.containers import grouped
from harness.core.types import RunHeader
from harness.report.compression import LEGACY, VERDICTS, Row, Verdict
from harness.report.summary import paddle_of

TITLES = {
    "qat": "Quantization-aware training",
    "ptq": "Post-training quantization",
    "weights": "Weights alone, quantized without calibration",
    "prune": "Pruning",
    "other": "Other methods",
}
MOST_OPEN_METHODS = 12
"""Methods of a technique that its table shows; the others, which are worse, start folded."""
MOST_NAMED = 4
"""Most methods named in a sentence."""

LOOK: dict[Verdict, tuple[str, str]] = {
    "trust": ("✓", "pass"),
    "not enough data": ("?", ""),
    "caution": ("◐", "known"),
    "do not use": ("✕", "fail"),
    "does not work": ("▲", "error"),
    "not run": ("○", "not-run"),
}
"""Symbol and chip of each verdict."""


class Choice(msgspec.Struct, frozen=True):
    """One method under one profile, over all models that it ran on; it counts as its worst model does."""

    name: str
    profile: str
    rows: tuple[Row, ...]

    @property
    def ran(self) -> tuple[Row, ...]:
        """Rows of models that were run, or all rows where none was."""
        return tuple(row for row in self.rows if row.verdict != "not run") or self.rows

    @property
    def verdict(self) -> Verdict:
        return self.worst.verdict

    @property
    def worst(self) -> Row:
        return max(self.ran, key=lambda row: VERDICTS.index(row.verdict))

    @property
    def most(self) -> float | None:
        """Upper bound of the points lost, on the model with the largest bound."""
        return max((row.accuracy.most for row in self.rows if row.accuracy), default=None)


class Method(msgspec.Struct, frozen=True):
    """One documented method, under every profile in which it was tried."""

    name: str
    api: str
    rows: tuple[Row, ...]
    """Rows by model; for each model the run's own profile first."""
    best: Choice


class Note(msgspec.Struct, frozen=True):
    """An error that several rows share, and a workaround."""

    number: int
    text: str
    workaround: str


class Technique(msgspec.Struct, frozen=True):
    """All methods of one technique, the best first."""

    name: str
    title: str
    sentence: str
    """Which method to take; names are in backticks."""
    methods: tuple[Method, ...]
    notes: tuple[Note, ...]
    numbers: dict[tuple[str, str], int]
    """Model and method -> number of its note."""

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for method in self.methods for row in method.rows)

    @property
    def profiles(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.profile for row in self.rows if row.profile))

    @property
    def quantizes(self) -> bool:
        return self.name != "prune"

    @property
    def is_timed(self) -> bool:
        return any(row.latency for row in self.rows)

    @property
    def sample(self) -> tuple[int, float | None]:
        """Most images on which accuracies were compared, and the confidence of their bounds."""
        seen = [row.accuracy for row in self.rows if row.accuracy]
        return max((item.n for item in seen), default=0), next((i.confidence for i in seen), None)


def techniques(rows: Sequence[Row]) -> tuple[Technique, ...]:
    """Group the rows by technique, with its methods, advice and notes."""
    # The profile of methods that name none: it needs no setting.
    own = next((row.profile for row in rows if row.method == row.name), "")
    groups: dict[str, list[Row]] = {name: [] for name in TITLES}
    for row in rows:
        groups[row.technique if row.technique in TITLES else "other"].append(row)
    return tuple(_technique(name, group, own) for name, group in groups.items() if group)


def verdict_counts(methods: Iterable[Method]) -> tuple[tuple[Verdict, int], ...]:
    """Count methods by the verdict of their best profile, the best verdict first."""
    counted = Counter(method.best.verdict for method in methods)
    return tuple((verdict, counted[verdict]) for verdict in VERDICTS if counted[verdict])


def release(header: RunHeader) -> str:
    """``Paddle 3.3.1``."""
    version = paddle_of(header)
    return f"Paddle {version}" if version else "this Paddle"


def advice(methods: Sequence[Method], own: str) -> str:
    """Say in one or two sentences which methods to take, the best first."""
    best = methods[0].best
    where = _where(best, own)
    if best.verdict == "trust":
        text = f"take `{best.name}`{where}: {_worth(best)}."
        others = [method.best for method in methods[1:] if method.best.verdict == "trust"]
        if others:
            named = ", ".join(f"`{other.name}`{_where(other, own, 'short')}" for other in others[:MOST_NAMED])
            more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
            text += f" To trust as well: {named}{more}."
        if best.profile != own:
            text += f" None is to be trusted in {_profile(own)}."
        return text
    why = "; ".join(reason.text for reason in best.worst.reasons[:2])
    if len(best.ran) > 1 and best.worst.model:
        why += f" on {best.worst.model}"
    if best.verdict == "not enough data":
        return f"nothing is decided; nearest is `{best.name}`{where}: {why}."
    if best.verdict == "caution":
        return f"none without caution; nearest is `{best.name}`{where}: {why}."
    if best.verdict == "not run":
        return f"none was run: {why}."
    return "none can be used."


def _technique(name: str, rows: Sequence[Row], own: str) -> Technique:
    methods = [_method(method, group, own) for method, group in grouped(rows, lambda row: row.name).items()]
    methods.sort(key=lambda method: (*_rank(method.best, own), method.name))
    errors = Counter((row.error, row.workaround) for row in rows if row.error)
    shared = {key: number for number, key in enumerate((k for k in errors if errors[k] > 1), start=1)}
    return Technique(
        name,
        TITLES[name],
        advice(methods, own),
        tuple(methods),
        tuple(Note(number, *key) for key, number in shared.items()),
        {
            (row.model, row.method): shared[row.error, row.workaround]
            for row in rows
            if (row.error, row.workaround) in shared
        },
    )


def _method(name: str, rows: Sequence[Row], own: str) -> Method:
    choices = [
        Choice(name, profile, tuple(row for row in rows if row.profile == profile))
        for profile in dict.fromkeys(row.profile for row in rows)
    ]
    order = list(dict.fromkeys(row.model for row in rows))
    return Method(
        name,
        next((row.api for row in rows if row.api), ""),
        tuple(sorted(rows, key=lambda row: (order.index(row.model), row.profile != own))),
        min(choices, key=lambda choice: _rank(choice, own)),
    )


def _rank(choice: Choice, own: str) -> tuple[int, bool, int, float, float]:
    """Return a sort key: better verdict, nothing to set, more models, smaller loss, smaller file."""
    return (
        VERDICTS.index(choice.verdict),
        choice.profile != own,
        -len(choice.ran),
        math.inf if choice.most is None else choice.most,
        _largest(choice, "bytes_ratio") or math.inf,
    )


def _worth(choice: Choice) -> str:
    """Say what a method costs and saves, on the worst of its models."""
    models = " and ".join(dict.fromkeys(row.model for row in choice.ran if row.model))
    most = choice.most or 0.0
    parts = [f"loses {f'at most {most:.2f} points' if most > 0 else 'nothing'} on {models}"]
    for name, what in (("bytes_ratio", "size"), ("macs_ratio", "FLOPs")):
        ratio = _largest(choice, name)
        if ratio is not None and ratio < 1:
            parts.append(f"{ratio:.2f} of the {what}")
    return ", ".join(parts)


def _largest(choice: Choice, name: str) -> float | None:
    found = [getattr(row.cost, name) for row in choice.rows if row.cost is not None]
    return max((ratio for ratio in found if ratio is not None), default=None)


def _where(choice: Choice, own: str, form: str = "long") -> str:
    if choice.profile == own:
        return ""
    if choice.profile == LEGACY and form == "long":
        return " in legacy IR (`FLAGS_enable_pir_api=0`)"
    return f" in {_profile(choice.profile)}"


def _profile(profile: str) -> str:
    return {LEGACY: "legacy IR", "pir": "PIR", "": "the run's own profile"}.get(profile, profile)
