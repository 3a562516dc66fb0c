"""What a check collects: counted comparisons, measures, notes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from harness.checks import tolerance as compare
from harness.core.types import Comparison

KEPT_DETAILS = 12
"""Comparisons that a record keeps if fewer failed: the failed ones and those closest to their limit."""


class CheckFailed(AssertionError):
    """A comparison came out wrong; the first line says which, and by how much."""


class Case:
    """Collects the comparisons of one check. A check that makes none is an error, never a pass.

    Failed comparisons do not end the check at once: :meth:`conclude` (called for every check
    by the plugin) raises with all of them.
    """

    def __init__(self) -> None:
        self.comparisons: list[Comparison] = []
        self.measures: dict[str, Any] = {}
        self.notes: list[str] = []
        self._hash = hashlib.sha256()
        self._hashed = False

    def add(self, comparison: Comparison) -> Comparison:
        self.comparisons.append(comparison)
        return comparison

    def bitwise(self, what: str, got: Any, expected: Any, empty_ok: bool = False) -> None:
        """Compare bit for bit: dtype, shape and bytes must be the same."""
        self.saw(got)
        self.add(compare.bitwise(what, _array(got), np.asarray(expected), empty_ok))

    def close(self, what: str, got: Any, oracle: Any, allowance: compare.Tolerance) -> None:
        """Compare with the float64 oracle: the error must be within the allowance."""
        self.saw(got)
        self.add(compare.close(what, _array(got), np.asarray(oracle), allowance))

    def saw(self, got: Any) -> None:
        """Add an array to the record's digest."""
        array = np.asarray(got)
        self._hashed = True
        self._hash.update(f"{array.dtype}{array.shape}".encode())
        self._hash.update(repr(got).encode() if array.dtype.hasobject else array.tobytes())

    @property
    def digest(self) -> str:
        """Hash of the arrays that were compared, in order; '' if there were none."""
        return self._hash.hexdigest()[:16] if self._hashed else ""

    def exact(self, what: str, got: Any, expected: Any) -> None:
        """Compare plain values, which must be equal."""
        self.add(compare.exact(what, got, expected))

    def at_least(self, what: str, got: float, least: float) -> None:
        """Compare a measured number with ``least``, which it must reach."""
        self._bound(what, got, least, got >= least, f"at least {least:g}", least, got)

    def at_most(self, what: str, got: float, most: float) -> None:
        """Compare a measured number with ``most``, which it must not exceed."""
        self._bound(what, got, most, got <= most, f"at most {most:g}", got, most)

    def _bound(
        self, what: str, got: float, bound: float, ok: bool, text: str, error: float, allowed: float
    ) -> None:
        finite = bool(np.isfinite(got))
        self.add(
            Comparison(
                what=what,
                rule="exact",
                ok=ok and finite,
                elements=1,
                got=f"{got:.6g}",
                expected=text,
                budget_used=error / allowed if finite and allowed > 0 and error >= 0 else None,
                message="" if ok and finite else f"{got:.6g} is not {text}",
            )
        )

    def conclude(self) -> None:
        """Raise if anything compared came out wrong, or if nothing was compared.

        Raises:
            CheckFailed: with every failed comparison.
        """
        if not self.comparisons:
            raise CheckFailed("the check compared nothing, which is no pass")
        if not sum(comparison.elements for comparison in self.comparisons) and all(
            comparison.ok for comparison in self.comparisons
        ):
            raise CheckFailed("the check compared no element, which is no pass")
        failed = [comparison for comparison in self.comparisons if not comparison.ok]
        if failed:
            head = f"{len(failed)} of {len(self.comparisons)} comparisons failed; {_line(failed[0])}"
            raise CheckFailed("\n".join([head, *(_line(comparison) for comparison in failed[1:20])]))

    @property
    def elements(self) -> int:
        return sum(comparison.elements for comparison in self.comparisons)

    @property
    def budget_used(self) -> float | None:
        """The largest share of an allowance that was used, over all comparisons with one."""
        values = [c.budget_used for c in self.comparisons if c.budget_used is not None]
        return max(values) if values else None

    @property
    def numeric_budget_used(self) -> float | None:
        """The largest share of an allowed numerical error, without bounds on counts and accuracies."""
        found = [
            c.budget_used for c in self.comparisons if c.rule == "tolerance" and c.budget_used is not None
        ]
        return max(found, default=None)

    def details(self) -> tuple[Comparison, ...]:
        """The failed comparisons and those closest to their limit, worst first."""
        ranked = sorted(
            self.comparisons, key=lambda c: (c.ok, -(c.budget_used if c.budget_used is not None else -1.0))
        )
        failed = sum(not c.ok for c in ranked)
        return tuple(ranked[: max(min(failed, 50), KEPT_DETAILS)])


def _array(value: Any) -> Any:
    return None if value is None else np.asarray(value)


def _line(comparison: Comparison) -> str:
    parts = [f"{comparison.what}: {comparison.message or 'differs'}"]
    if comparison.worst:
        parts.append(f"worst at {comparison.worst}")
    else:
        parts.append(f"got {comparison.got}, expected {comparison.expected}")
    if comparison.allowed is not None:
        parts.append(f"error {comparison.error:.3g}, allowed {comparison.allowed:.3g}")
    return "; ".join(parts)


def bitwise_all(case: Case, what: str, got: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare the names with their order, and every array bit for bit."""
    case.exact(f"{what}: names", list(got), list(expected))
    for name, value in expected.items():
        case.bitwise(f"{what}: {name}", got.get(name), value)


def close_all(
    case: Case, what: str, got: Iterable[Any], oracle: list[Any], tolerances: list[compare.Tolerance]
) -> None:
    """Compare the number of outputs, and every output, of one execution with the oracle's."""
    outputs = list(got)
    case.exact(f"{what}: number of outputs", len(outputs), len(oracle))
    for index, expected in enumerate(oracle):
        value = outputs[index] if index < len(outputs) else None
        if np.size(expected) == 0 and value is not None:
            # Two equal empty outputs are equal: a detector that finds nothing, say.
            case.exact(f"{what}: shape of output {index}", list(np.shape(value)), list(np.shape(expected)))
            continue
        case.close(f"{what}: output {index}", value, expected, tolerances[index])


def close_runs(
    case: Case,
    what: str,
    got: Iterable[Iterable[Any]],
    oracle: list[list[Any]],
    tolerances: list[compare.Tolerance],
) -> None:
    """Compare the number of runs, and every run, of a session with the oracle's: a missing run fails."""
    runs = list(got)
    case.exact(f"{what}number of runs", len(runs), len(oracle))
    for run, expected in enumerate(oracle):
        outputs = runs[run] if run < len(runs) else []
        close_all(case, f"{what}run {run + 1}", outputs, expected, tolerances)
