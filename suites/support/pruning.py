"""Which filters a pruning kept, found by comparing weights before and after, and checked by its criterion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.checks.case import Case

Array = NDArray[Any]


def scores(weight: Array, criterion: str) -> Array | None:
    """Return a score per filter (axis 0); the filters with the smallest scores are pruned.

    ``l1``, ``l2``: the filter's norm. ``fpgm``: the sum of its distances to all filters (He et al.,
    "Filter Pruning via Geometric Median", arXiv 1811.00250). None for a criterion that does not use
    the filters.
    """
    rows = weight.reshape(len(weight), -1).astype("float64")
    if criterion in ("l1", "l1_norm", "L1NormFilterPruner"):
        return np.asarray(np.abs(rows).sum(axis=1))
    if criterion in ("l2", "l2_norm", "L2NormFilterPruner"):
        return np.asarray(np.sqrt((rows**2).sum(axis=1)))
    if criterion in ("fpgm", "geometry_median", "FPGMFilterPruner"):
        squared = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
        return np.asarray(np.sqrt(squared).sum(axis=1))
    return None


def kept(before: Array, after: Array) -> tuple[list[int], ...] | None:
    """Return for each axis which indices of ``before`` make up ``after``; None if no selection does."""
    if before.ndim != after.ndim:
        return None
    if before.ndim == 1:
        return _kept_vector(before, after)
    # Kernels (or single weights of a matrix) are looked up by their bytes, which rarely occur twice.
    places: dict[bytes, list[tuple[int, int]]] = {}
    for row in range(before.shape[0]):
        for column in range(before.shape[1]):
            places.setdefault(before[row, column].tobytes(), []).append((row, column))
    rows = _agreed(after, places, 0)
    columns = _agreed(after, places, 1)
    if rows is None or columns is None:
        return None
    return (rows, columns) if np.array_equal(before[np.ix_(rows, columns)], after) else None


def _agreed(after: Array, places: Mapping[bytes, list[tuple[int, int]]], axis: int) -> list[int] | None:
    """Return the index along one axis that all kernels of a slice of ``after`` have in common."""
    found: list[int] = []
    for index in range(after.shape[axis]):
        common: set[int] | None = None
        for kernel in after[index] if axis == 0 else after[:, index]:
            here = {place[axis] for place in places.get(kernel.tobytes(), ())}
            common = here if common is None else common & here
        if not common:
            return None
        found.append(min(common))
    return found


def _kept_vector(before: Array, after: Array) -> tuple[list[int]] | None:
    """Return the kept indices in ascending order: repeated values would leave the order open."""
    found: list[int] = []
    at = 0
    for value in after:
        while at < len(before) and before[at].tobytes() != value.tobytes():
            at += 1
        if at == len(before):
            return None
        found.append(at)
        at += 1
    return (found,)


def check(case: Case, arrays: Mapping[str, Array], values: Mapping[str, Any]) -> None:
    """Demand that each pruned layer kept the filters its criterion ranks first, and that other arrays follow.

    ``arrays``: ``original/<name>`` and ``pruned/<name>``; ``values``: the recipe's ``ratios`` (by
    parameter) and ``criterion``.
    """
    names = [name.split("/", 1)[1] for name in arrays if name.startswith("original/")]
    before = {name: arrays[f"original/{name}"] for name in names}
    after = {name: arrays[f"pruned/{name}"] for name in names}
    selections: set[tuple[int, ...]] = set()
    for name, ratio in values["ratios"].items():
        weight = before[name]
        selection = kept(weight, after[name])
        found = [] if selection is None else selection[0]
        wanted = len(weight) - round(len(weight) * ratio)
        case.exact(f"{name}: number of filters kept", len(found), wanted)
        ranks = scores(weight, values["criterion"])
        if ranks is not None:
            best = sorted(np.argsort(ranks, kind="stable")[len(weight) - wanted :].tolist())
            case.exact(f"{name}: filters kept", found, best)
        selections.add(tuple(found))
    shrunk = [name for name in names if before[name].shape != after[name].shape]
    case.at_least("arrays that shrank", len(shrunk), len(values["ratios"]) + 1)
    strayed = [name for name in shrunk if not _follows(before[name], after[name], selections)]
    case.exact("arrays that lost something else than the pruned filters", strayed, [])
    same = [name for name in names if before[name].shape == after[name].shape]
    changed = [name for name in same if before[name].tobytes() != after[name].tobytes()]
    case.exact("arrays that pruning should have left alone", changed, [])


def _follows(before: Array, after: Array, selections: set[tuple[int, ...]]) -> bool:
    """Whether every shrunk axis kept what some pruned layer kept; after a flatten, as blocks of channels."""
    if before.ndim == 1 and any(_is(before, after, chosen) for chosen in selections):
        return True  # every selection of a vector of equal values looks the same
    selection = kept(before, after)
    if selection is None:
        return False
    for axis, indices in enumerate(selection):
        size = before.shape[axis]
        if len(indices) == size:
            continue
        if tuple(indices) in selections:
            continue
        if not any(_blocks(indices, chosen, size) for chosen in selections):
            return False
    return True


def _is(before: Array, after: Array, chosen: tuple[int, ...]) -> bool:
    inside = bool(chosen) and max(chosen) < len(before)
    return inside and before[list(chosen)].tobytes() == after.tobytes()


def _blocks(indices: list[int], chosen: tuple[int, ...], size: int) -> bool:
    """Whether the indices are the chosen channels' blocks of a flattened ``[channels, h, w]``."""
    if not chosen or len(indices) % len(chosen):
        return False
    block = len(indices) // len(chosen)
    return size % block == 0 and indices == [c * block + i for c in chosen for i in range(block)]
