"""What a run selects: when a known failure that matched nothing is stale, and when it was left out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from harness.options import Options
from harness.selection import is_whole, left_out

SUITES = Path(__file__).parents[1] / "suites"


def asked(args: tuple[str, ...] = ("suites",), keyword: str = "", **options: Any) -> bool:
    """Whether a run with these pytest arguments and options is one of the whole tier."""
    config: Any = SimpleNamespace(
        args=args,
        option=SimpleNamespace(keyword=keyword, markexpr="", lf=False),
        invocation_params=SimpleNamespace(dir=SUITES.parent),
    )
    session: Any = SimpleNamespace(suites=SUITES, options=msgspec.structs.replace(Options(), **options))
    return is_whole(config, session)


def test_the_suites_as_they_are_is_whole() -> None:
    assert asked()


@pytest.mark.parametrize(
    "narrowing",
    [
        {"models": ("lenet",)},
        {"targets": ("jit",)},
        {"flows": ("qat-slim",)},
        {"claims": ("001-build",)},
        {"brief": True},
        {"keyword": "accuracy"},
        {"args": ("suites/test_resume.py",)},
    ],
    ids=lambda given: "-".join(given),
)
def test_a_narrowed_run_is_not(narrowing: dict[str, Any]) -> None:
    assert not asked(**narrowing)


@pytest.mark.parametrize(
    ("kept", "parameters", "out"),
    [
        (None, {"model": "lenet"}, False),
        ({}, {"model": "lenet"}, True),
        ({"model": ("lenet",)}, {"model": "lenet"}, False),
        ({"model": ("lenet",)}, {"model": "lstm"}, True),
        ({"model": ("lenet",), "batch": (1,)}, {"model": "lenet", "batch": 8}, True),
    ],
)
def test_what_a_brief_run_leaves_out(
    kept: dict[str, Any] | None, parameters: dict[str, Any], out: bool
) -> None:
    mark = pytest.mark.brief(**kept).mark if kept is not None else None
    item = SimpleNamespace(get_closest_marker=lambda name: mark, callspec=SimpleNamespace(params=parameters))
    assert left_out(item) is out
