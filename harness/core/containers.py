"""Plain containers: items sorted into groups, their number in words, what lies deep in nested mappings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

K = TypeVar("K")
T = TypeVar("T")


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """The items by their key; groups in the order of their first items, items in their own."""
    found: dict[K, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def count(number: int, noun: str, plural: str = "") -> str:
    """Return number and noun: ``1 run``, ``2 runs``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def at(value: Any, keys: Iterable[str]) -> Any:
    """What these keys lead to in nested dictionaries; None where one of them is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
