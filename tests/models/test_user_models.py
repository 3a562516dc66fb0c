"""The user's own models: what is said of them, what is found in folders, and a whole run with them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.example_models import WORDS, specifications, write_graphs, write_layers

from conftest import Command
from harness.cli.script import write_script
from harness.core.errors import HarnessError
from harness.core.option_parsing import arguments
from harness.core.options import Options
from harness.core.paths import ROOT
from harness.jobs import rerun
from harness.models import specification
from harness.models.files import safe
from harness.models.specification import InputSpec, UserModel, all_from_table, input_spec, parse, unique
from harness.records.files import Run, read_run

# What is said of them


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one model of each form; the working folder meanwhile."""
    (tmp_path / "net.py").write_text("from somewhere import Other\n\n\ndef build():\n    return None\n")
    (tmp_path / "net.pdparams").write_bytes(b"")
    (tmp_path / "examples.npz").write_bytes(b"")
    for name in ("served/model.json", "served/model.pdiparams", "old/__model__", "old/linear_0.w_0",
                 "two/a.pdmodel", "two/a.pdiparams", "two/b.json", "two/b.pdiparams", "two/notes.json",
                 "deep/one/inference.json", "deep/one/inference.pdiparams", "deep/graph/model.py",
                 "deep/graph/input_meta.py", "combined/__model__", "combined/__params__"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("net.py:build", [("net.py", "layer", "net")]),
        ("net.py:Other", [("net.py", "layer", "net")]),
        ("net.py:build,name=mine", [("net.py", "layer", "mine")]),
        ("served", [("served/model.json", "deployed", "served")]),
        ("served/model", [("served/model.json", "deployed", "model")]),
        ("served/model.json", [("served/model.json", "deployed", "model")]),
        ("old", [("old/__model__", "deployed", "old")]),
        ("combined/__model__", [("combined/__model__", "deployed", "combined")]),
        ("two", [("two/a.pdmodel", "deployed", "a"), ("two/b.json", "deployed", "b")]),
        ("deep", [("deep/graph", "graph", "graph"), ("deep/one/inference.json", "deployed", "one")]),
        ("deep/graph,name=g", [("deep/graph", "graph", "g")]),
    ],
)
def test_what_a_text_names(here: Path, text: str, found: list[tuple[str, str, str]]) -> None:
    models = parse(text)
    assert [(str(Path(m.path).relative_to(here)), m.form, m.name) for m in models] == found
    for model in models:
        assert parse(model.text()) == [model], "its own text names it again"


def test_everything_that_can_be_said(here: Path) -> None:
    (model,) = parse(f"net.py:build,params=net.pdparams,inputs=examples.npz,{WORDS},name=a.b_1")
    assert model == UserModel(
        str(here / "net.py"), "layer", "a.b_1", "build", str(here / "net.pdparams"),
        str(here / "examples.npz"), ("ids:int64:?x6:0..49", "weights:float32:?x6"),
    )  # fmt: skip
    assert parse(model.text()) == [model]


def test_text_with_absolute_paths_means_the_same_elsewhere(here: Path, monkeypatch: Any) -> None:
    texts = ["net.py:build,params=net.pdparams,spec=x:?x3", "deep", "served/model,name=m"]
    absolute = [specification.absolute(text) for text in texts]
    expected = [parse(text) for text in texts]
    monkeypatch.chdir("/")
    assert [parse(text) for text in absolute] == expected
    assert [specification.absolute(text) for text in absolute] == absolute


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing.py:build", "nothing.py does not exist"),
        ("net.py:other", "net.py has no other: name a function or class"),
        ("net.py", "net.py:FACTORY"),
        ("net.py:build,colour=red", "unknown key colour, choose from name, params, inputs, spec, uses"),
        ("net.py:build,name=a,name=b", "gives name twice"),
        ("net.py:build,name=a-b", "'a-b' cannot name a model"),
        ("net.py:build,name=none", "'none' cannot name a model"),
        ("net.py:build,params=no.pdparams", "the file no.pdparams of the model net.py:build does not exist"),
        ("net.py:build,spec=x:floaty", "'floaty' in the input specification 'x:floaty' is not a dtype"),
        ("net.py:build,spec=x:1..2..3", "is not a dtype, a shape"),
        ("net.py:build,spec=x:5..2", "the range in the input specification 'x:5..2' is empty"),
        ("net.py:build,spec=x:int8:int16", "reads NAME[:DTYPE][:SHAPE][:LOW..HIGH]"),
        ("examples.npz", "is not a model: give a Python file and factory"),
        ("missing", "does not exist, nor do missing.json and missing.pdmodel"),
        ("empty", "holds no model"),
        ("two,name=x", "holds 2 models: name can be given for a single one only"),
        ("two/notes.json", "two/notes.json has no parameters"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(here: Path, text: str, words: str) -> None:
    with pytest.raises(HarnessError) as refusal:
        parse(text)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_names_outside_ascii_stay_apart() -> None:
    names = [safe(name) for name in ("模型一", "模型二", "模型/一", "détecteur")]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and name == safe(name) for name in names)
    assert safe("ch_PP-OCRv4/inference") == "ch_PP_OCRv4.inference"


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("x", InputSpec("x")),
        ("x:?x3x224x224", InputSpec("x", shape=(None, 3, 224, 224))),
        ("x:float64:2", InputSpec("x", "float64", (2,))),
        ("x:-1.5..1e3", InputSpec("x", low=-1.5, high=1000.0)),
        ("x:int64:?x6:0..49", InputSpec("x", "int64", (None, 6), 0.0, 49.0)),
    ],
)
def test_input_specifications(text: str, spec: InputSpec) -> None:
    assert input_spec(text) == spec


def test_tables_say_what_texts_say(here: Path) -> None:
    table = {"path": "net.py:build", "name": "n", "spec": ["x:?x3"], "params": "net.pdparams"}
    assert all_from_table(table) == parse("net.py:build,name=n,spec=x:?x3,params=net.pdparams")
    assert [model.name for model in specification.all_from_table({"path": "two"})] == ["a", "b"]
    assert specification.table_text({"path": "two"}) == str(here / "two")
    assert parse(specification.table_text(table)) == all_from_table(table)
    assert parse("net.py:build,uses=predictor,uses=jit")[0].uses == ("predictor", "jit")
    several = {"path": "two", "uses": ["predictor"]}
    assert parse(specification.table_text(several)) == all_from_table(several)
    assert [model.uses for model in all_from_table(several)] == [("predictor",)] * 2
    for wrong, words in (
        ({"path": "net.py:build", "colour": "red"}, "unknown key colour"),
        ({"name": "n"}, "path is missing"),
        ({"path": "net.py:build", "spec": "x:?x3"}, "spec and uses lists of texts"),
    ):
        with pytest.raises(HarnessError, match=words):
            all_from_table(wrong)


def test_names_are_unique(here: Path) -> None:
    with pytest.raises(HarnessError, match="are both named net"):
        unique([*parse("net.py:build"), *parse("net.py:Other")])
    with pytest.raises(HarnessError, match="has the name of the reference model net"):
        unique(parse("net.py:build"), ["net"])


def test_paths_that_become_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("a-b", "a_b", "c"):
        (tmp_path / name).mkdir()
        for file in ("model.py", "input_meta.py"):
            (tmp_path / name / file).touch()
    names = [model.name for model in parse(str(tmp_path))]
    assert len(set(names)) == 3
    assert "c" in names
    assert all(name.startswith("a_b_") for name in names if name != "c")


def test_options_repeat_every_model() -> None:
    options = Options(add_model=("/a.py:build,name=a", "/b"), models=("none",))
    assert arguments(options) == ["--models=none", "--add-model=/a.py:build,name=a", "--add-model=/b"]


# In a whole run

CHECK = '''
def test_same(case, executor, model):
    """A check as any other."""
    (oracle,) = executor.oracle(model, [executor.sample(model, 2)])
    case.at_least("outputs", float(len(oracle)), 1.0)


def test_of_no_model(case):
    case.exact("value", 1, 1)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_layers(folder / "layers")
    write_graphs(folder / "graphs")
    return folder


KNOWN = """
[[failure]]
case = "a/same[*]"
paddle = ">=2"
outcome = "error"
match = "of reference models"
reason = "It says nothing of a model of the user's that passes."
"""


@pytest.fixture(scope="module")
def done(
    project: Callable[[dict[str, str]], Path], command: Command, folder: Path
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    place = project(
        {
            "suites/test_a.py": CHECK,
            "suites/test_models.py": (ROOT / "suites" / "test_models.py").read_text(),
            "suites/known_failures.toml": KNOWN,
        }
    )
    specs = specifications(folder / "layers")
    models = [f"--add-model={specs[name]}" for name in ("regression", "syntax", "one_row")]
    models += [f"--add-model={folder / 'graphs' / 'trouble' / 'not_a_number'}"]
    return place, command(place, "pytest", "suites", "-q", "--folder=run", "--models=none", *models)


@pytest.fixture(scope="module")
def run(done: tuple[Path, subprocess.CompletedProcess[str]]) -> Run:
    assert (done[0] / "run" / "records.jsonl").exists(), done[1].stdout + done[1].stderr
    return read_run(done[0] / "run")


def test_records_of_a_run(run: Run) -> None:
    found = {record.case: record for record in run.records}
    outcomes = {case: record.outcome for case, record in found.items()}
    assert list(outcomes.items()) == [
        ("models/usable[regression]", "pass"),
        ("models/usable[syntax]", "error"),
        ("models/usable[one_row]", "pass"),
        ("models/usable[not_a_number]", "fail"),
        ("models/batches[regression]", "pass"),
        ("models/batches[syntax]", "not-run"),
        ("models/batches[one_row]", "error"),
        ("a/same[regression]", "pass"),
        ("a/same[syntax]", "not-run"),
        ("a/same[one_row]", "pass"),
        ("a/same[not_a_number]", "not-run"),
    ]
    reason = found["a/same[syntax]"].reason
    assert reason.startswith(f"refused by Paddle {run.header.environment['paddle']['version']}: SyntaxError")
    assert run.header.environment["user_models"]["not_a_number"] == "graph"
    assert found["models/usable[regression]"].measures["inputs"] == [["features", [None, 7], "float32"]]
    assert found["a/same[regression]"].expected_failure == ""
    assert any("batch 1" in note for note in found["models/batches[one_row]"].notes)


def test_summary_and_exit_status_of_a_run(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    said = "2 of 4 models of your own are usable here; refused: 1 not loaded, 1 not finite"
    assert said in done[1].stdout
    assert done[1].returncode == 1


def test_run_can_be_repeated(run: Run) -> None:
    options = rerun.options_of(run)
    assert options.models == ("none",)
    assert all(Path(text.partition(":")[0].partition(",")[0]).is_absolute() for text in options.add_model)
    assert sum(argument.startswith("--add-model=") for argument in arguments(options)) == 4


@pytest.mark.slow
def test_command_line_runs_them_from_any_folder(
    done: tuple[Path, subprocess.CompletedProcess[str]], command: Command, folder: Path
) -> None:
    place = done[0]
    (place / "near.py").write_text((folder / "layers" / "regression.py").read_text())
    ran = command(
        place / "suites", "harness.cli", "run",
        "--add-model", "../near.py:build,name=mine", "--models", "none", "--folder", str(place / "cli"),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 of 1 models of your own are usable here\n" in ran.stdout
    cases = [record.case for record in read_run(place / "cli").records]
    assert cases == ["models/usable[mine]", "models/batches[mine]", "a/same[mine]"]


@pytest.mark.slow
def test_script_of_a_refused_model_is_one_sentence(run: Run, tmp_path: Path) -> None:
    record = next(r for r in run.records if r.case == "a/same[syntax]")
    record = msgspec.structs.replace(record, target="jit")
    with pytest.raises(HarnessError, match="syntax is refused here: SyntaxError"):
        write_script(run, record, ROOT, tmp_path / "script")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--add-model=/no/such.py:build"], "the model file /no/such.py does not exist"),
        (["--models=none"], "--models none leaves no model: name your own with --add-model"),
        (["--model-memory=0"], "--model-memory 0: give a number above 0"),
    ],
)
def test_what_a_run_cannot_do_is_one_sentence(
    done: tuple[Path, subprocess.CompletedProcess[str]], command: Command, arguments: list[str], words: str
) -> None:
    refused = command(done[0], "pytest", "suites", *arguments)
    assert refused.returncode == 4
    assert words in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr


def test_model_named_as_a_reference_model(
    done: tuple[Path, subprocess.CompletedProcess[str]], command: Command, folder: Path
) -> None:
    file = folder / "layers" / "cnn.py"
    refused = command(done[0], "pytest", "suites", f"--add-model={file}:build,name=lenet")
    assert refused.returncode == 4
    assert "has the name of the reference model lenet" in refused.stdout + refused.stderr
