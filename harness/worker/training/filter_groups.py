"""Layers that PaddleSlim can only prune together, since their channels are added or go one to one."""

from __future__ import annotations

from typing import Any, Iterable, List, Set


def deciders(collections: Iterable[Any], asked: List[str]) -> List[str]:
    """The weights asked for that choose which channels go.

    The others share their channels with one before them, and lose what that one loses: a depthwise
    convolution, a shortcut, the last convolution of a stage's later blocks. ``collections`` are
    PaddleSlim's own, since it decides on that; ``asked`` are names of variables, in the order asked for.
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
