"""A rule: when an operator applies to a value, and what shape and dtype come out.

A rule is a function of the builder and the value it acts on; :data:`RULES` holds them with the dtype and
the condition, in the order in which shrinking prefers them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.fuzz.builder import Builder, Value

Rule = Callable[[Builder, Value], Value]
When = Callable[[Value], bool]


@dataclass(frozen=True)
class Entry:
    """A rule, with the dtype of the value it acts on and what else must hold of it."""

    rule: Rule
    dtype: str
    when: When
    weight: int = 1
    """How often it is on the list that is drawn from."""


RULES: list[Entry] = []


def on(dtype: str = "float32", when: When = lambda value: True, weight: int = 1) -> Callable[[Rule], Rule]:
    """Register a rule."""

    def register(rule: Rule) -> Rule:
        RULES.append(Entry(rule, dtype, when, weight))
        return rule

    return register


def rank(low: int, high: int = 9) -> When:
    """As many axes behind the batch."""
    return lambda value: low <= len(value.tail) <= high


def image(value: Value) -> bool:
    """A batch of channels by height by width."""
    return value.batched and len(value.tail) == 3


def sequence(value: Value) -> bool:
    """A batch of steps by features."""
    return value.batched and len(value.tail) == 2
