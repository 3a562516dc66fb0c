"""What a run selects: when a known failure that matched nothing is stale, and when it was left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from conftest import Command
from harness.checks.expected_failures import ExpectedFailure, ExpectedFailures
from harness.core.options import Options
from harness.models.catalogue import MethodInfo
from harness.plugin.selection import is_whole, left_out, paths, skipped_in_quick, unused
from harness.plugin.session import RunSession
from harness.records.files import read_run
from harness.targets.target import Target

SUITES = Path(__file__).parents[2] / "suites"


def asked(
    args: tuple[str, ...] = ("suites",), keyword: str = "", where: Path = SUITES.parent, **options: Any
) -> bool:
    """Whether a run with these pytest arguments and options is one of the whole tier."""
    config: Any = SimpleNamespace(
        args=args,
        option=SimpleNamespace(keyword=keyword, markexpr="", lf=False, pyargs=where != SUITES.parent),
        invocation_params=SimpleNamespace(dir=where),
    )
    session: Any = SimpleNamespace(suites=(SUITES,), options=msgspec.structs.replace(Options(), **options))
    return is_whole(config, session)


def test_the_suites_as_they_are_is_whole() -> None:
    assert asked()


def test_packaged_suites_are_named_as_python_does(tmp_path: Path) -> None:
    assert asked(where=tmp_path)
    assert not asked(args=("suites.test_resume",), where=tmp_path)
    config: Any = SimpleNamespace(
        args=["suites.test_resume::test_every_model"],
        option=SimpleNamespace(pyargs=True),
        invocation_params=SimpleNamespace(dir=tmp_path),
    )
    assert list(paths(config)) == [SUITES / "test_resume.py"]


@pytest.mark.parametrize(
    "narrowing",
    [
        {"models": ("lenet",)},
        {"targets": ("jit",)},
        {"methods": ("qat-slim",)},
        {"claims": ("001-build",)},
        {"tier": "gate"},
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
def test_what_the_gates_tier_leaves_out(
    kept: dict[str, Any] | None, parameters: dict[str, Any], out: bool
) -> None:
    mark = pytest.mark.brief(**kept).mark if kept is not None else None
    item = SimpleNamespace(get_closest_marker=lambda name: mark, callspec=SimpleNamespace(params=parameters))
    gate, quick = (SimpleNamespace(options=Options(tier=tier)) for tier in ("gate", "quick"))
    assert left_out(gate, item) is out
    assert left_out(quick, item) is False


@pytest.mark.parametrize(
    ("options", "out"),
    [({}, True), ({"tier": "full"}, False), ({"tier": "gate"}, False), ({"methods": ("a",)}, False)],
)
def test_what_a_quick_run_leaves_to_the_full_tier(options: dict[str, Any], out: bool) -> None:
    entry = ExpectedFailure("area/check[*]", ">=3.0", "error", "m", "r", skipped_in_quick="area/check[{b,c}]")
    session: Any = SimpleNamespace(
        options=msgspec.structs.replace(Options(), **options),
        known=ExpectedFailures([entry], "3.3.1", "pir", "quick"),
    )
    items = [SimpleNamespace(path="suites/test_area.py", name=f"test_check[{name}]") for name in "abd"]
    assert [skipped_in_quick(session, item) for item in items] == [False, out, False]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, ["a", "b", "b-legacy-ir"]),
        ({"tier": "full"}, ["a", "a-legacy-ir", "b", "b-legacy-ir"]),
        ({"methods": ("a-legacy-ir",)}, ["a-legacy-ir"]),
    ],
)
def test_flows_that_do_alike_in_both_profiles(options: dict[str, Any], found: list[str]) -> None:
    methods = [
        MethodInfo(name, "qat", "dynamic", "call", {}, ["lenet"], [], alike=name == "a", profile=profile)
        for name in "ab"
        for profile in ("", "legacy-ir")
    ]
    session: Any = SimpleNamespace(
        models=lambda role: ["lenet"],
        options=msgspec.structs.replace(Options(), **options),
        executor=SimpleNamespace(builder=SimpleNamespace(methods={one.id: one for one in methods})),
    )
    assert [method.id for _, method in RunSession.methods(session)] == found


NARROW = """
import pytest


@pytest.mark.targets(runtime="predictor")
def test_on_predictors(case, target):
    case.exact("runtime", target.runtime, "predictor")


@pytest.mark.models(trained=True)
def test_on_trained_models(case, model):
    case.exact("name", model, "lenet")
"""


def test_checks_without_a_chosen_model_or_target_are_deselected(
    project: Callable[[dict[str, str]], Path], command: Command
) -> None:
    """A check for predictors has nothing to do when only `jit` is asked for; it is not run, and no error."""
    folder = project({"suites/test_narrow.py": NARROW})
    done = command(folder, "pytest", "suites", "-q", "--targets=jit", "--models=lenet", "--folder=run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [record.case for record in read_run(folder / "run").records] == ["narrow/on_trained_models[lenet]"]


PREDICTOR = Target("predictor", "predictor")
COARSE = Target("predictor-bf16", "predictor", storage="bfloat16")
OLDER = Target("predictor-legacy-ir", "predictor", profile="legacy-ir")


@pytest.mark.parametrize(
    ("uses", "target", "marks", "out"),
    [
        # A model of one's own without `uses`: everything but legacy IR.
        ((), PREDICTOR, (), False),
        ((), None, (("onnxruntime",), {}), False),
        ((), OLDER, (), True),
        ((), None, (("jit",), {"profile": "legacy-ir"}), True),
        (("predictor",), PREDICTOR, (), False),
        (("predictor",), Target("static", "static"), (), True),
        (("predictor",), COARSE, (), True),
        (("predictor-bf16",), COARSE, (), False),
        (("predictor-bf16",), PREDICTOR, (), True),
        (("predictor",), OLDER, (), True),
        (("predictor", "legacy-ir"), OLDER, (), False),
        (("legacy-ir",), PREDICTOR, (), False),
        (("predictor",), None, (("predictor",), {}), False),
        (("predictor",), None, (("jit", "predictor"), {}), False),
        (("predictor",), None, (("training",), {}), True),
        (("training",), None, (("training",), {}), False),
        # A check that says nothing is of no deployment.
        (("predictor",), None, None, True),
    ],
)
def test_what_no_deployment_uses_is_left_out(
    uses: tuple[str, ...], target: Target | None, marks: Any, out: bool
) -> None:
    markers = [pytest.mark.runs(*marks[0], **marks[1]).mark] if marks else []
    item = SimpleNamespace(
        callspec=SimpleNamespace(params={"model": "own", **({"target": target} if target else {})}),
        iter_markers=lambda name: markers,
        get_closest_marker=lambda name: None,
    )
    executor = SimpleNamespace(
        profile="pir", builder=SimpleNamespace(first_runs=SimpleNamespace(models={"own": None}))
    )
    session: Any = SimpleNamespace(uses=lambda model: uses, executor=executor)
    assert unused(session, item) is out
