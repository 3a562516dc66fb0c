"""What an installed package adds, without an edit here: ``examples/own_check``, beside the harness only."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest
from support.sshd import interpreter, sshd_on_loopback

from conftest import child_environment
from harness.core.paths import ROOT
from harness.core.types import Record
from harness.records.files import Run, read_run

__all__ = ["sshd_on_loopback"]

EXAMPLE = ROOT / "examples" / "own_check"


class Environments(NamedTuple):
    """Two virtual environments on top of the running one, each with something of its own."""

    controller: Path
    """Has the harness and the extension."""
    under_test: Path
    """Has Paddle, and the package that the extension's runtime needs; not the extension."""

    @property
    def package(self) -> Path:
        """The installed extension."""
        (found,) = self.controller.parents[1].glob("lib/python*/site-packages/own_check")
        return found


def made(folder: Path, *packages: str) -> Path:
    """A virtual environment that has these packages and all that the running one has; its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "base.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    # pip, not uv: the index and its certificate may be named in pip's configuration alone.
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", f"--target={site}", *packages]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return python


@pytest.fixture(scope="module")
def environments(python: str, tmp_path_factory: pytest.TempPathFactory) -> Environments:
    folder = tmp_path_factory.mktemp("environments")
    return Environments(made(folder / "controller", str(EXAMPLE)), made(folder / "under_test", "fsspec"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def started(python: Path, cwd: Path, *arguments: str, status: int = 0, **variables: str) -> str:
    """What ``python -m arguments`` prints, run to its end; ``status`` is how it has to end."""
    done = subprocess.run(
        [str(python), "-m", *arguments],
        cwd=cwd,
        env={**child_environment(), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def run(environments: Environments, folder: Path, *arguments: str, status: int = 0) -> Run:
    """The suites, run in a folder that has none, with the extension's."""
    where = folder / "run"
    asked = ("harness.cli", "run", f"--folder={where}", *arguments)
    started(environments.controller, folder, *asked, status=status)
    return read_run(where)


def cases(found: Run) -> dict[str, Record]:
    return {record.case: record for record in found.records}


@pytest.mark.slow
def test_all_kinds_are_there_in_one_run(environments: Environments, store: Path, tmp_path: Path) -> None:
    """A model, a recipe, a runtime, a target, a method, an area, a claim and a known failure."""
    found = run(
        environments, tmp_path, f"--python={environments.under_test}", f"--store={store}",
        "--models=lenet,two_linear", "--methods=prune-smallest",
        "--", "-k", "zipped and bits and two_linear or as_it_is or compression and filters",
    )  # fmt: skip
    records = cases(found)
    assert {case: record.outcome for case, record in records.items()} == {
        "zipped/same_bits[two_linear-zipped]": "pass",
        "zipped/as_it_is[lenet]": "error",
        "zipped/as_it_is[two_linear]": "error",
        "compression/filters[lenet-prune-smallest]": "pass",
    }
    one = records["zipped/same_bits[two_linear-zipped]"]
    assert (one.claims, one.target, one.area, one.out_of_scope) == (("own-zip",), "zipped", "zipped", False)
    assert one.comparisons == 4
    known = records["zipped/as_it_is[two_linear]"]
    assert known.expected_failure.endswith("reads no archive.")
    assert known.workaround == "unpack the archive first"
    assert not known.unexpected
    header = found.header
    assert header.harness["extensions"] == ["own-check 1.0"]
    assert "own-check" not in header.environment["installed"], "it is beside the controller only"
    assert "fsspec" in header.environment["packages"], "what a runtime needs is told"
    assert header.claims["own-zip"].startswith("a zipped `jit.save` export")
    assert header.areas["zipped"].title == "Models in archives"
    page = (tmp_path / "run" / "index.html").read_text()
    assert "<strong>Models in archives</strong>" in page
    assert page.index("<strong>Quantized and pruned models</strong>") < page.index(
        "Models in archives</strong>"
    )
    assert "own-zip-as-it-is" in page


@pytest.mark.slow
def test_a_case_is_run_again_and_as_a_script(environments: Environments, store: Path, tmp_path: Path) -> None:
    run(
        environments, tmp_path, f"--python={environments.under_test}", f"--store={store}",
        "--models=two_linear", "--claims=own-zip", "--", str(environments.package / "suites"),
    )  # fmt: skip
    said = started(
        environments.controller, tmp_path, "harness.cli", "rerun", str(tmp_path / "run"),
        "zipped/same_bits[two_linear-zipped]",
    )  # fmt: skip
    assert "now:  pass" in said
    script = started(
        environments.controller, tmp_path, "harness.cli", "rerun", str(tmp_path / "run"),
        "zipped/same_bits[two_linear-zipped]", "--script",
    ).splitlines()[0].removeprefix("written: ")  # fmt: skip
    done = subprocess.run(
        [environments.under_test, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of 7 outputs disagree" in done.stdout


def test_doctor_asks_for_what_the_runtime_needs(
    environments: Environments, store: Path, tmp_path: Path
) -> None:
    def line(python: Path) -> str:
        said = started(
            environments.controller,
            tmp_path,
            "harness.cli",
            "doctor",
            f"--python={python}",
            f"--store={store}",
        )
        (found,) = [line for line in said.splitlines() if "fsspec" in line]
        return " ".join(found.split())

    assert line(environments.under_test).startswith("ok fsspec 20")
    assert line(environments.controller) == (
        "missing fsspec not installed install fsspec>=2024.1 to read models from archives"
    )


@pytest.mark.slow
def test_without_its_package_the_target_is_not_run(
    environments: Environments, store: Path, tmp_path: Path
) -> None:
    found = run(
        environments, tmp_path, f"--python={environments.controller}", f"--store={store}",
        "--models=two_linear", "--claims=own-zip", "--", str(environments.package / "suites"),
        status=1,
    )  # fmt: skip
    (record,) = found.records
    assert record.outcome == "not-run"
    assert record.reason.startswith("fsspec is not installed in the environment under test")


KEYS = """
import json, sys
from pathlib import Path
from harness.artifacts.builder import ArtifactBuilder
from harness.artifacts.datasets import locate
from harness.artifacts.store import Store
from harness.core.paths import ROOT
from harness.environments.releases import releases
from harness.pool.workers import WorkerPool
from harness.records import sources

store = Store(Path(sys.argv[2]))
pool = WorkerPool(Path(sys.argv[3]), sys.argv[1], 60.0)
builder = ArtifactBuilder(pool, store, *locate("packaged", store))
recipes = ("checkpoint", "jit", "zip")
found = {recipe: builder.artifact(recipe, "two_linear").manifest.key for recipe in recipes}
pool.close()
lines = list(releases().values())[-1].lines("paddlepaddle")
print(json.dumps({**found, "sources": sources.digest(ROOT), "requirements": lines}))
"""


@pytest.mark.slow
def test_a_changed_source_makes_its_artifacts_anew(
    environments: Environments, store: Path, tmp_path: Path
) -> None:
    """A recipe changes the key of its own artifact, a model of all of its; both the hash of a run."""
    script = tmp_path / "keys.py"
    script.write_text(KEYS)

    def keys() -> dict[str, str]:
        done = subprocess.run(
            [environments.controller, script, environments.under_test, store, tmp_path / "logs"],
            env=child_environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        return dict(json.loads(done.stdout))

    def changed(name: str) -> set[str]:
        file = environments.package / name
        text = file.read_text()
        before = keys()
        file.write_text(text + "\n# changed\n")
        try:
            after = keys()
        finally:
            file.write_text(text)
        return {key for key, value in after.items() if value != before[key]}

    assert changed("worker/recipes/zip.py") == {"zip", "sources"}
    assert changed("reference_models/two_linear.py") == {"checkpoint", "jit", "zip", "sources"}
    assert "fsspec>=2024.1" in keys()["requirements"], "managed environments have it"


@pytest.mark.slow
def test_its_code_travels_to_another_host(
    environments: Environments, store: Path, ssh: Path, tmp_path: Path
) -> None:
    words = interpreter(ssh, tmp_path, python=str(environments.under_test))
    (tmp_path / "targets.toml").write_text(f'[far]\nruntime = "zipped"\ninterpreter = "{words}"\n')
    found = run(
        environments, tmp_path, f"--python={environments.under_test}", f"--store={store}",
        "--models=two_linear", "--targets=far", f"--targets-file={tmp_path / 'targets.toml'}",
        "--claims=own-zip", "--", str(environments.package / "suites"),
    )  # fmt: skip
    (record,) = found.records
    assert (record.case, record.outcome) == ("zipped/same_bits[two_linear-far]", "pass")
    assert record.measures["where"]["host"] == platform.node()
    assert list((tmp_path / "cache").rglob("extensions/own_check/worker/runtimes/zipped.py"))


@pytest.mark.slow
def test_its_mutants_are_killed(environments: Environments, store: Path, tmp_path: Path) -> None:
    said = started(
        environments.controller, tmp_path, "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests"),
        OWN_CHECK_PYTHON=str(environments.under_test), HARNESS_STORE=str(store),
    )  # fmt: skip
    assert "mutants: 4, killed: 4 (100 %)" in said
    assert "PytestUnknownMarkWarning" not in said


def test_what_is_listed(environments: Environments, tmp_path: Path) -> None:
    def names(kind: str) -> list[str]:
        rows = json.loads(started(environments.controller, tmp_path, "harness.cli", "list", kind, "--json"))
        return [row.get("claim") or row["name"] for row in rows]

    assert {"own-zip", "own-zip-as-it-is", "000-save"} < set(names("claims"))
    assert {"zipped/same_bits", "zipped/as_it_is", "layout/same_outputs"} < set(names("checks"))


STAGE = """
import sys
from pathlib import Path
from harness.fuzz.examine import examine, stages_of
from harness.fuzz.verdict import DEFAULT, EXPORTED, STAGES
from harness.pool.workers import WorkerPool
from suites.support.generated import sample

network = sample()["network-01"]
pool = WorkerPool(Path(sys.argv[2]), sys.argv[1], 60.0)
print(examine(pool, network, ["dygraph"]).compared, examine(pool, network, ["dygraph", "zipped"]).compared)
pool.close()
print("zipped" in DEFAULT, "zipped" in EXPORTED, "zipped" in stages_of("jit"), STAGES.index("zipped"))
"""


@pytest.mark.slow
def test_its_runtime_is_a_stage_of_generated_networks(environments: Environments, tmp_path: Path) -> None:
    script = tmp_path / "stage.py"
    script.write_text(STAGE)
    done = subprocess.run(
        [environments.controller, script, environments.under_test, tmp_path / "logs"],
        env=child_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    compared, stated = done.stdout.splitlines()
    alone, both = map(int, compared.split())
    assert both == 2 * alone > 0
    assert stated == "False True True 6"


# What cannot be meant


def installed(folder: Path, name: str, *files: str, value: str = "") -> None:
    """An extension as an installer leaves it: a package with these files, and its entry point."""
    info = folder / f"{name}-1.0.dist-info"
    for path in (folder / name / "__init__.py", *(folder / name / file for file in files)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    entry = f"[paddle_conformance.extensions]\n{name} = {value or name}\n"
    (info / "entry_points.txt").write_text(entry)


@pytest.mark.parametrize(
    ("file", "value", "sentence"),
    [
        (
            "worker/runtimes/jit.py",
            "",
            "mine has worker/runtimes/jit.py, and the harness has it too",
        ),
        (
            "suites/test_layout.py",
            "",
            "mine has suites/test_layout.py, and the harness has it too",
        ),
        ("reference_models/lenet.py", "", "mine has reference_models/lenet.py, and the harness has it too"),
        ("worker/x.py", "mine.worker", "names mine.worker, which is no package that can be imported here"),
        ("worker/x.py", "nobody", "names nobody, which is no package that can be imported here"),
    ],
    ids=["runtime", "area", "model", "inner", "absent"],
)
def test_what_cannot_be_meant_is_a_sentence(tmp_path: Path, file: str, value: str, sentence: str) -> None:
    installed(tmp_path / "site", "mine", file, value=value)
    path = os.pathsep.join([str(tmp_path / "site"), child_environment()["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "list", "checks"],
        cwd=tmp_path, env={**child_environment(), "PYTHONPATH": path}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
