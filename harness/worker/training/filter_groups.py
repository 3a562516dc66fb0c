"""Layers that PaddleSlim can only prune together, since their channels are added or map one to one."""

from __future__ import annotations

from typing import Any, Iterable, List, Set


def deciders(collections: Iterable[Any], asked: List[str]) -> List[str]:
    """Return those of the ``asked`` weights that decide which channels are removed.

    The others share their channels with an earlier weight and lose the same ones: a depthwise
    convolution, a shortcut, the last convolution of a stage's later blocks. ``collections`` are
    PaddleSlim's, since it decides this; ``asked`` are names of variables, in order.
    """
    found: List[str] = []
    shared: Set[str] = set()
    for name in asked:
        if name not in shared:
            found.append(name)
        for group in collections:
            if group.master_name == name:
                shared.update(item.name for item in group.all_pruning_details() if item.axis == 0)
    return found
