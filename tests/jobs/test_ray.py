"""The Ray backend on a cluster of this machine: where jobs go, what is lost with a node, what travels."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from conftest import Command
from harness.artifacts.store import Store
from harness.core.paths import ROOT
from harness.fuzz.findings import Notebook
from harness.fuzz.shards import APART
from harness.jobs.backend import BackendName, Settings
from harness.jobs.job import Job, JobResult, TaskResult, Workspace
from harness.jobs.journal import Journal, is_open
from harness.jobs.runner import Runner
from harness.records.files import read_run

ray = pytest.importorskip(
    "ray", reason="the ray extra is not installed: pip install 'paddle-conformance[ray]'"
)
from ray.cluster_utils import Cluster  # noqa: E402

pytestmark = pytest.mark.slow

MEMORY = 80 * 2**20


@dataclass(frozen=True)
class Sleeping:
    """Sleeps in the node's own process, and writes into a log of this machine when and where."""

    log: str
    name: str
    seconds: float = 0.2

    def perform(self, workspace: Workspace) -> TaskResult:
        node = ray.get_runtime_context().get_node_id()
        for word in ("begin", "end"):
            with open(self.log, "a") as file:
                file.write(f"{word} {self.name} {node} {time.time()}\n")
            if word == "begin":
                time.sleep(self.seconds)
        workspace.folder.mkdir()
        (workspace.folder / "records.jsonl").write_text(self.name)
        return TaskResult()


@dataclass(frozen=True)
class Storing:
    """Uses an artifact of the node's store, and tells whether it had to be made."""

    name: str

    @property
    def store(self) -> Path:
        return Path(os.environ["HARNESS_STORE"])

    def perform(self, workspace: Workspace) -> TaskResult:
        made = []

        def make(folder: Path) -> dict[str, Any]:
            made.append(folder)
            (folder / "file").write_bytes(b"content")
            return {}

        artifact = Store(self.store).get_or_make({"recipe": "test"}, make)
        workspace.folder.mkdir()
        (workspace.folder / "made").write_text(f"{bool(made)} {self.store.name}")
        return TaskResult(artifacts=(artifact.manifest.key,))


@dataclass(frozen=True)
class Importing:
    """Tells where the harness is imported from, and whether the suites are there."""

    def perform(self, workspace: Workspace) -> TaskResult:
        import harness.pool.workers

        workspace.folder.mkdir()
        (workspace.folder / "where").write_text(
            f"{harness.pool.workers.ROOT}\n{(workspace.root / 'suites').is_dir()}"
        )
        return TaskResult()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A head on which nothing runs; the test adds nodes, each with a store of its own."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    head = {"num_cpus": 0, "object_store_memory": MEMORY, "node_ip_address": "127.0.0.2"}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def grow(cluster: Cluster, store: Path, **more: Any) -> Any:
    node = cluster.add_node(
        object_store_memory=MEMORY,
        env_vars={"HARNESS_STORE": str(store)},
        node_ip_address=f"127.0.0.{3 + len(cluster.worker_nodes)}",
        **{"num_cpus": 1, **more},
    )
    cluster.wait_for_nodes()
    return node


def run(jobs: Sequence[Job], cluster: Cluster, folder: Path) -> dict[str, JobResult]:
    folder.mkdir(exist_ok=True)
    settings = Settings(BackendName.ray, cluster.address)
    console = Console(file=io.StringIO())
    with Runner(settings, ROOT, folder, folder.parent / "own-store", console) as runner:
        return runner.run(jobs)


def lines(log: Path) -> list[tuple[str, str, str, float]]:
    found = [line.split() for line in log.read_text().splitlines()]
    return [(word, name, node, float(when)) for word, name, node, when in found]


def test_unlike_nodes_get_what_they_alone_can_run(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    grow(cluster, tmp_path / "a")
    special = grow(cluster, tmp_path / "b", resources={"kunlun": 1}, labels={"room": "quiet"})
    jobs = [
        Job("any", Sleeping(str(log), "any"), "any"),
        Job("kunlun", Sleeping(str(log), "kunlun"), "kunlun", resources={"kunlun": 1}),
        Job("quiet", Sleeping(str(log), "quiet"), "quiet", labels={"room": "quiet"}),
        Job("gpu", Sleeping(str(log), "gpu"), "gpu", resources={"GPU": 1}),
        Job("loud", Sleeping(str(log), "loud"), "loud", labels={"room": "loud"}),
    ]
    ends = run(jobs, cluster, tmp_path / "run")
    where = {name: node for word, name, node, _ in lines(log) if word == "end"}
    assert where["kunlun"] == where["quiet"] == special.node_id
    assert ends["gpu"].sentence == "gpu was not run: no node of the cluster has CPU 1, GPU 1"
    assert ends["loud"].sentence == "loud was not run: no node of the cluster has CPU 1, the label room=loud"
    assert (tmp_path / "run/quiet/records.jsonl").read_text() == "quiet"


def test_timing_jobs_never_share_a_node(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for name in ("a", "b"):
        grow(cluster, tmp_path / name, num_cpus=2)
    jobs = [
        Job(f"{kind}{i}", Sleeping(str(log), f"{kind}{i}", 0.4), f"{kind}{i}", timing=kind == "timing")
        for i in range(4)
        for kind in ("shared", "timing")
    ]
    ends = run(jobs, cluster, tmp_path / "run")
    assert {end.status for end in ends.values()} == {"done"}
    spans: dict[str, list[Any]] = {}
    for _, name, node, when in lines(log):
        spans.setdefault(name, [node]).append(when)
    for name, (node, begin, end) in spans.items():
        if name.startswith("timing"):
            beside = [
                other for other, (at, first, last) in spans.items()
                if other != name and at == node and first < end and begin < last
            ]  # fmt: skip
            assert not beside, f"{name} had {beside} beside it"
    assert len({node for node, *_ in spans.values()}) == 2


def test_a_lost_node_loses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """Killed when it has ended one job and runs another: that one runs elsewhere, the ended one does not."""
    log = tmp_path / "log"
    log.touch()
    grow(cluster, tmp_path / "a")
    doomed = grow(cluster, tmp_path / "b", resources={"kunlun": 1})
    jobs = [Job(f"{i}", Sleeping(str(log), f"{i}", 1.0), f"{i}") for i in range(6)]
    jobs.append(Job("bound", Sleeping(str(log), "bound"), "bound", ("0", "1", "2"), {"kunlun": 1}))

    def kill() -> None:
        while not any(word == "end" and node == doomed.node_id for word, _, node, _ in lines(log)):
            time.sleep(0.05)
        time.sleep(0.5)
        cluster.remove_node(doomed, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    ends = run(jobs, cluster, tmp_path / "run")
    killer.join()
    assert [ends[f"{i}"].status for i in range(6)] == ["done"] * 6
    finished = [name for word, name, _, _ in lines(log) if word == "end"]
    assert sorted(name for name in finished if name != "bound") == [f"{i}" for i in range(6)], "once each"
    if "bound" not in finished:
        assert ends["bound"].sentence.startswith("bound was not run: no node of the cluster has")


def test_artifacts_travel_and_are_not_made_again(cluster: Cluster, tmp_path: Path) -> None:
    grow(cluster, tmp_path / "store-a", resources={"a": 1})
    grow(cluster, tmp_path / "store-b", resources={"b": 1})
    jobs = [
        Job("maker", Storing("maker"), "maker", resources={"a": 1}),
        Job("reader", Storing("reader"), "reader", ("maker",), resources={"b": 1}),
    ]
    ends = run(jobs, cluster, tmp_path / "run")
    assert (tmp_path / "run/maker/made").read_text() == "True store-a"
    assert (tmp_path / "run/reader/made").read_text() == "False store-b"
    (key,) = ends["reader"].artifacts
    assert (tmp_path / "own-store" / key / "file").read_bytes() == b"content", "the driver keeps it as well"


def test_the_checkout_travels_to_another_machine(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.jobs.ray._is_here", lambda address: False)
    grow(cluster, tmp_path / "a")
    ends = run([Job("job", Importing(), "job")], cluster, tmp_path / "run")
    assert ends["job"].status == "done", ends["job"].reason
    there, suites = (tmp_path / "run/job/where").read_text().splitlines()
    assert not Path(there).is_relative_to(ROOT)
    assert suites == "True"


DRIVER = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
import ray
from jobs import test_ray
ray.cloudpickle.register_pickle_by_value(test_ray)
address, folder = sys.argv[1], Path(sys.argv[2])
cluster = type("Address", (), dict(address=address))
log = str(folder.parent / "log")
jobs = [test_ray.Job(f"{{i}}", test_ray.Sleeping(log, f"{{i}}", 1.0), f"{{i}}") for i in range(6)]
ends = test_ray.run(jobs, cluster, folder)
print(*(end.status for end in ends.values()))
"""


def test_a_killed_driver_is_started_again(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    for name in ("a", "b"):
        grow(cluster, tmp_path / name)
    folder = tmp_path / "run"
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    script = DRIVER.format(tests=str(ROOT / "tests"))
    command = [sys.executable, "-c", script, cluster.address, str(folder)]
    first = subprocess.Popen(command, env=variables)
    while not any((folder / f"{i}").exists() for i in range(6)):
        assert first.poll() is None
        time.sleep(0.05)
    time.sleep(0.2)
    kept = set(Journal(folder).ends)
    assert kept
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["done"] * 6, done.stderr
    finished = [name for word, name, _, _ in lines(log) if word == "end"]
    assert all(finished.count(name) == 1 for name in kept), "what had ended was not run twice"
    assert set(finished) == {f"{i}" for i in range(6)}


TIMES = ("started", "duration_s", "load_ms")


def found(folder: Path) -> dict[str, Any]:
    """Every record of a matrix without times."""
    records = {}
    for record in (record for path in folder.glob("*/records.jsonl") for record in read_run(path).records):
        plain = msgspec.to_builtins(record)
        for name in TIMES:
            plain.pop(name, None)
            plain.get("measures", {}).pop(name, None)
        records[record.case] = plain
    return records


def test_both_engines_leave_the_same_records(python: str, command: Command, tmp_path: Path) -> None:
    """Digests, used, warnings, everything that was compared: only times differ."""
    chosen = ("--models=lenet", "--", "-k=test_states or jit-predictor or jit-jit.load")
    for backend in ("local", "ray"):
        folder = str(tmp_path / backend)
        done = command(
            ROOT, "harness.cli", "matrix", python, "--backend", backend, "--folder", folder, *chosen
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert is_open(tmp_path / backend) is False
    local = found(tmp_path / "local")
    assert len(local) >= 3
    assert any(record["outcome"] == "pass" and record["digest"] for record in local.values())
    assert found(tmp_path / "ray") == local


def test_a_hunt_on_a_cluster_comes_back(python: str, command: Command, tmp_path: Path) -> None:
    """Notebooks of both jobs are one: their seeds, and the examples that Hypothesis kept."""
    options = (f"--paddle={python}", "--minutes=0.1", "--jobs=2", "--backend=ray", f"--folder={tmp_path}")
    done = command(ROOT, "harness.cli", "fuzz", *options)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    (seeds,) = tmp_path.glob("*/seeds.json")
    first, second = min(Notebook(seeds.parent).seeds), max(Notebook(seeds.parent).seeds)
    assert first == 1
    assert second > APART
    assert done.stdout.count(" networks (") == 2
    assert not (tmp_path / "shards").exists()


def test_targets_are_measured_on_a_cluster_and_compared(
    python: str, command: Command, tmp_path: Path
) -> None:
    """Each target's run comes back, and all of them are one comparison."""
    paths = ("--", "suites/test_agreement.py", "-k=test_first_and_later_runs")
    options = ("--targets=jit,static", "--models=lenet", "--backend=ray", f"--python={python}")
    done = command(ROOT, "harness.cli", "run", *options, f"--folder={tmp_path / 'run'}", *paths)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("jit", "static"):
        assert {record.target for record in read_run(tmp_path / "run" / name).records} == {name}
    done = command(ROOT, "harness.cli", "compare", f"{tmp_path / 'run'}", f"--folder={tmp_path / 'page'}")
    assert "2 targets, 1 models" in done.stdout, done.stdout + done.stderr
