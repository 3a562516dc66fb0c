"""Rules: when an operator applies to a value, and which shape and dtype it gives.

A rule is a function of the builder and the value to which it applies. :data:`RULES` holds them with dtype
and condition, in the order in which shrinking prefers them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.fuzz.builder import Builder, Value

Rule = Callable[[Builder, Value], Value]
When = Callable[[Value], bool]


@dataclass(frozen=True)
class Entry:
    """A rule, with the dtype of its value and the condition on it."""

    rule: Rule
    dtype: str
    when: When
    weight: int = 1
    """Number of times the rule is in the list to draw from."""


RULES: list[Entry] = []


def on(dtype: str = "float32", when: When = lambda value: True, weight: int = 1) -> Callable[[Rule], Rule]:
    """Register a rule."""

    def register(rule: Rule) -> Rule:
        RULES.append(Entry(rule, dtype, when, weight))
        return rule

    return register


def rank(low: int, high: int = 9) -> When:
    """Return a condition on the number of axes after the batch."""
    return lambda value: low <= len(value.tail) <= high


def image(value: Value) -> bool:
    """Whether the value is a batch of channels by height by width."""
    return value.batched and len(value.tail) == 3


def sequence(value: Value) -> bool:
    """Whether the value is a batch of steps by features."""
    return value.batched and len(value.tail) == 2
