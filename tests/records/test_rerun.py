"""Finding a recorded case, its options as arguments, and scripts without the harness."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.script import standalone_model
from harness.core import paths
from harness.core.errors import HarnessError
from harness.core.option_parsing import arguments
from harness.core.options import Options
from harness.core.paths import ROOT
from harness.core.types import Record, RunHeader
from harness.execution.plain_paddle import config_calls
from harness.gate.sides import earlier, subject_of
from harness.jobs import rerun
from harness.records import finding
from harness.records.files import RecordWriter, Run, read_run


def run_of(where: Path, *cases: str, **options: object) -> Run:
    where.mkdir(parents=True, exist_ok=True)
    writer = RecordWriter(where / "records.jsonl")
    writer.write(RunHeader(run=where.name, started="", tier="quick", command="", options=options))
    for case in cases:
        writer.write(Record(case=case, nodeid="n", area="a", outcome="fail"))
    writer.close()
    return read_run(where)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("a/one[x]", "a/one[x]"),
        ("two", "a/two"),
        ("a/one[x]-more", "a/one[x]-more"),
        ("-more", "a/one[x]-more"),
    ],
)
def test_case_by_id_or_by_a_part_only_it_has(tmp_path: Path, wanted: str, found: str) -> None:
    run = run_of(tmp_path / "r", "a/one[x]", "a/one[x]-more", "a/two")
    assert finding.find_case(run, wanted).case == found


def test_ambiguous_and_unknown_cases_are_sentences(tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", *(f"a/case[{n}]" for n in range(12)))
    with pytest.raises(HarnessError, match=r"'case' is in 12 cases: a/case\[0\], .* and 4 more"):
        finding.find_case(run, "case")
    with pytest.raises(HarnessError, match="no case of r contains 'zzz'"):
        finding.find_case(run, "zzz")


def test_run_by_path_file_or_name(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "20260101"
    run_of(folder, "a/b")
    for name in ("20260101", str(folder), str(folder / "records.jsonl")):
        assert finding.open_run(name, tmp_path).header.run == "20260101"
    with pytest.raises(HarnessError, match="no run 2027: the newest are 20260101"):
        finding.open_run("2027", tmp_path)
    with pytest.raises(HarnessError, match="holds none yet"):
        finding.open_run("2027", tmp_path / "elsewhere")


def test_options_become_the_arguments_that_give_them() -> None:
    options = Options(
        tier="full",
        models=("a", "b"),
        paddle_profile="legacy-ir",
        targets_file=("x.toml", "y.toml"),
        call_timeout=2.5,
        retry_failed=True,
    )
    assert arguments(options) == [
        "--tier=full",
        "--models=a,b",
        "--paddle-profile=legacy-ir",
        "--targets-file=x.toml",
        "--targets-file=y.toml",
        "--call-timeout=2.5",
        "--retry-failed",
    ]
    assert arguments(Options()) == []


def test_options_of_a_record_file(tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", tier="full", models=["a"], folder="elsewhere", call_timeout=5)
    assert rerun.options_of(run) == Options(tier="full", models=("a",), call_timeout=5.0)
    with pytest.raises(HarnessError, match="cannot be used again"):
        rerun.options_of(run_of(tmp_path / "s", tier="endless"))


EARLIER = {
    "tier": "quick", "models": ["a"], "targets": [], "methods": ["qat-slim"], "claims": [], "dataset": "auto",
    "python": "python", "profile": "legacy-ir", "run_folder": "reports/real", "store": "", "targets_file": [],
    "producers": ["old=/old/python@legacy-ir"], "model": ["/net.py:build"], "model_timeout": 60.0,
    "model_memory": 14.1, "accuracy_bound": 1.0, "images": 100, "deadline": 5.0, "brief": True, "again": True,
    "only_on": [], "not_on": [], "latency_budget": 0.05,
}  # fmt: skip
"""The options in the header of a run that was made when they had other names."""


def test_options_of_an_earlier_run_are_read_by_their_names_of_now(tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", **EARLIER)
    assert run.header.tier == "gate"
    assert rerun.options_of(run) == Options(
        tier="gate",
        models=("a",),
        methods=("qat-slim",),
        python="python",
        paddle_profile="legacy-ir",
        producers=("old=/old/python@legacy-ir",),
        add_model=("/net.py:build",),
        model_timeout=60.0,
        model_memory=14.1,
        accuracy_samples=100,
        call_timeout=5.0,
        retry_failed=True,
        latency_budget=0.05,
    )
    whole = run_of(tmp_path / "whole", **{**EARLIER, "brief": False})
    assert (whole.header.tier, rerun.options_of(whole).tier) == ("quick", "quick")


def test_an_earlier_run_stands_for_a_side_of_a_gate(tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", **{**EARLIER, "python": sys.executable})
    subject = subject_of(str(run.folder), tmp_path)
    assert subject.name == f"{run.folder.name}@legacy-ir"
    assert earlier([subject]) == (f"{subject.name}={sys.executable}@legacy-ir",)


def test_project_root_is_a_checkout_here_or_above(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert paths.project_root(deep) == ROOT, "else the checkout's own"
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "known_failures.toml").write_text("")
    assert paths.project_root(deep) == ROOT, "a folder of that name may be anybody's"
    project = tmp_path / "pyproject.toml"
    for text in ('[project]\nname = "mine"\n', "project = 1\n", "[project\n", "[tool.x]\n"):
        project.write_text(text)
        assert paths.project_root(deep) == ROOT, text
    project.write_text('[project]\nname = "paddle-conformance"\n')
    assert paths.project_root(deep) == tmp_path
    (tmp_path / "suites" / "known_failures.toml").unlink()
    assert paths.project_root(deep) == ROOT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("collected\nERROR: no such model\n\n", "no such model"),
        ("one\ntwo\n", "two"),
        ("", "pytest printed nothing"),
    ],
)
def test_last_error(text: str, expected: str) -> None:
    assert rerun.last_error(text) == expected


def test_every_model_file_stands_alone(python: str, tmp_path: Path) -> None:
    """Each builds a network whose file imports nothing of this project."""
    names = []
    for file in sorted((ROOT / "reference_models").glob("*.py")):
        if file.stem != "__init__":
            (tmp_path / file.name).write_text(standalone_model(file))
            names.append(file.stem)
    script = (
        f"import importlib\nfor name in {names!r}:\n    module = importlib.import_module(name)\n"
        "    models = getattr(module, 'MODELS', None) or [module.MODEL]\n"
        "    assert all(m.name and callable(m.build) for m in models), name\n"
        "model = importlib.import_module('lenet').MODEL\nprint(type(model.build(**model.arguments)).__name__)"
    )
    done = subprocess.run([python, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("LeNet"), done.stderr


def test_model_that_needs_more_of_the_project_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from harness.worker.models.digits import Digits\n")
    with pytest.raises(HarnessError, match="without --script"):
        standalone_model(file)


def test_config_calls_cover_every_option_the_worker_knows() -> None:
    source = (ROOT / "harness" / "worker" / "runtimes" / "predictor.py").read_text()
    known = {"device", "onednn", "bfloat16", "ir_optim", "memory_optim", "threads"}
    assert all(f'"{name}"' in source for name in known)
    calls = list(
        config_calls(
            {"onednn": False, "ir_optim": False, "memory_optim": True, "threads": 3, "bfloat16": True},
        )
    )
    assert calls == [
        "disable_gpu()",
        "disable_mkldnn()",
        "enable_mkldnn_bfloat16()",
        "switch_ir_optim(False)",
        "enable_memory_optim()",
        "set_cpu_math_library_num_threads(3)",
    ]
    with pytest.raises(HarnessError, match="the option in_memory has no plain call"):
        list(config_calls({"in_memory": True}))


def test_nothing_of_paddle_is_imported_here() -> None:
    assert "paddle" not in sys.modules
