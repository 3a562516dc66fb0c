"""Find what else differs between two environments than the change asked about, and what it could explain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.core.containers import at
from harness.core.types import RunHeader
from harness.gate.result import Change, Difference

NUMERIC = ("numerically worse", "numerically better")
SPEED = ("slower", "faster", "more memory", "less memory")
ANY = ("broken", "missing", "new", "fixed", *NUMERIC, *SPEED)

_FACTS: tuple[tuple[str, tuple[str, ...], bool, tuple[str, ...]], ...] = (
    # Name, key in the environment, whether it is the change asked about, verdicts that it could explain.
    ("Paddle", ("paddle", "version"), True, ()),
    ("Paddle commit", ("paddle", "commit"), True, ()),
    ("CUDA build", ("paddle", "cuda"), False, ANY),
    ("GPUs", ("paddle", "devices"), False, ANY),
    ("intermediate representation", ("profile",), True, ()),
    ("Python", ("python",), False, ("broken", "fixed", *SPEED)),
    ("NumPy", ("numpy",), False, ("broken", "fixed", *NUMERIC, *SPEED)),
    ("processor", ("cpu", "model"), False, (*NUMERIC, *SPEED)),
    ("processor flags", ("cpu", "flags"), False, ("broken", "fixed", *NUMERIC, *SPEED)),
    ("cores", ("cpu", "cores"), False, SPEED),
    ("governor", ("cpu", "governor"), False, SPEED),
    ("memory", ("cpu", "memory_gib"), False, SPEED),
    ("threads", ("threads",), False, (*NUMERIC, *SPEED)),
    ("platform", ("platform",), False, SPEED),
    ("digits", ("dataset", "digest"), False, ANY),
)
_CHOICES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("tier", "models", "add_model", "uses", "targets", "claims", "targets_file"), ("missing", "new")
    ),
    "call_timeout": ("broken", "fixed"),
}
PADDLES = ("paddlepaddle", "paddlepaddle-gpu")
COMPANIONS = {
    "paddle2onnx": frozenset({"onnx", "onnxruntime", "openvino"}),
    "onnxruntime": frozenset({"onnx", "onnxruntime"}),
    "openvino": frozenset({"openvino", "openvino-pdmodel"}),
    "paddleslim": frozenset({"compression", "slim_documents"}),
}
"""Packages beside Paddle, each with the areas and targets whose changes are its own and not Paddle's."""


def between(baseline: RunHeader, candidate: RunHeader) -> Iterator[Difference]:
    """Yield every difference of the two headers that a reader should know of."""
    old, new = baseline.environment, candidate.environment
    for what, keys, intended, explains in _FACTS:
        a, b = at(old, keys), at(new, keys)
        if a != b:
            yield Difference(what, _text(a, b), _text(b, a), intended, () if intended else explains)
    kind = "installed" if "installed" in old and "installed" in new else "packages"
    yield from _packages(old.get(kind) or {}, new.get(kind) or {})
    for what, explains in _CHOICES.items():
        a, b = baseline.options.get(what), candidate.options.get(what)
        if (a or None) != (b or None):
            yield Difference(f"option --{what.replace('_', '-')}", _text(a, b), _text(b, a), False, explains)
    # Two builds of one version can differ, and two versions can have the same sources.
    key = "source" if "source" in baseline.harness and "source" in candidate.harness else "version"
    if baseline.harness.get(key) != candidate.harness.get(key):
        a, b = (f"{h.harness.get('version')} ({str(h.harness.get(key))[:12]})" for h in (baseline, candidate))
        yield Difference("harness", a, b, False, ANY)


def _packages(old: dict[str, str], new: dict[str, str]) -> Iterator[Difference]:
    for name in sorted(old.keys() | new.keys()):
        if name == "numpy" or old.get(name) == new.get(name):
            continue  # NumPy has its line above
        explains = ANY if name in COMPANIONS else ()
        versions = (old.get(name, "not installed"), new.get(name, "not installed"))
        yield Difference(name, *versions, name in PADDLES, explains)


def _text(value: Any, other: Any) -> str:
    """Return a value as text; of two lists, only what the other one lacks."""
    if isinstance(value, list) and isinstance(other, list):
        only = [str(item) for item in value if item not in other]
        return ", ".join(only) or "nothing more"
    return "not recorded" if value is None else str(value)


def explaining(change: Change, differences: tuple[Difference, ...]) -> tuple[str, ...]:
    """Name the unintended differences that could explain a change."""
    return tuple(
        d.what
        for d in differences
        if not d.intended and change.verdict in d.explains
        if d.what not in COMPANIONS or COMPANIONS[d.what] & {change.area, change.target}
    )
