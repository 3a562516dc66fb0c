"""Run jobs as tasks of a Ray cluster, whose scheduler finds nodes that have what they need.

A node needs Ray and the harness's dependencies; the checkout is sent with the tasks. Artifacts are sent
through Ray's object store and kept in the controller's store, so that they outlive the node that made them.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import psutil

from harness.artifacts.store import Store
from harness.core.errors import HarnessError, UsageError
from harness.core.files import write_files
from harness.core.paths import ROOT, is_checkout
from harness.jobs.job import Job, NodeLost, Stopped, TaskResult, Unschedulable, Workspace
from harness.jobs.parcels import Parcel, pack, unpack

try:
    import ray
    from ray import exceptions
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError:
    ray = None

FRESH_S = 0.5
THREADS = "OMP_NUM_THREADS"
LEFT_AT_HOME = (".git", ".venv*", "reports", "docs", "findings", "tests", "**/__pycache__", "*.log")
"""Parts of the checkout that no job reads, and that are not sent."""
GONE = ("NodeDiedError", "ObjectLostError", "TaskUnschedulableError", "LocalRayletDiedError")
"""Exceptions of a task whose node or input is gone."""


def must_be_installed() -> None:
    """Check that Ray is installed.

    Raises:
        UsageError: it is not.
    """
    if ray is None:
        raise UsageError(
            "--backend ray needs Ray: install the project's ray extra "
            "(pip install 'paddle-conformance[ray]') here and on every node, or leave the option out"
        )


class NodeResult(msgspec.Struct, frozen=True):
    """Result from a node: the task's result, the files it wrote, the artifacts it made."""

    done: TaskResult
    files: dict[str, bytes]
    parcels: tuple[Parcel, ...]


class OnRay:
    """The backend that runs jobs on a Ray cluster.

    Args:
        root: the checkout, which is sent to the nodes.
        store: the controller's artifact store.
        address: address of the cluster; '' starts one on this machine.
    """

    def __init__(self, root: Path, store: Path, address: str) -> None:
        must_be_installed()
        if "://" in address:
            raise UsageError(
                f"--address {address}: run the command on a node of the cluster, and give HOST:PORT or auto"
            )
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray's default is 15: next to other programs a job would wait, and a timing job would measure that.
        os.environ.setdefault("RAY_worker_niceness", "0")
        try:
            _must_answer(address)
            ray.init(
                **_where(address),
                runtime_env=_checkout(root, address),
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise HarnessError(
                f"no Ray cluster answers at {address or 'this machine'} ({error}): start one with "
                "`ray start --head` and name its address (docs/jobs.md says what a token needs)"
            ) from error
        self._root = str(root) if _is_here(address) else ""
        self._store = Store(store)
        self._arrivals = ThreadPoolExecutor(2, "arrival")
        self._sent: dict[str, Any] = {}
        self._going: dict[Any, tuple[Job, Future[TaskResult]]] = {}
        self._lock = threading.Lock()
        self._timed: dict[str, int] = {}
        self._alive: frozenset[str] = frozenset()
        self._asked = 0.0
        self._known: list[dict[str, Any]] = []
        self._task = ray.remote(perform)

    def expect(self, jobs: int) -> None:
        """Do nothing: a job has the processors that it asks for."""

    def submit(self, job: Job, folder: Path, artifacts: Sequence[str]) -> Future[TaskResult]:
        future: Future[TaskResult] = Future()
        fitting = _fitting(job, self._nodes())
        if not fitting:
            future.set_exception(Unschedulable(_nowhere(job)))
            return future
        task = self._task.options(name=job.name, max_retries=0, **self._needs(job, fitting))
        ref = task.remote(job, folder.name, self._parcels(artifacts), self._root)
        with self._lock:
            self._going[ref] = job, future
        ref.future().add_done_callback(lambda came: self._arrivals.submit(self._arrived, ref, came, folder))
        return future

    def _nodes(self) -> list[dict[str, Any]]:
        """Return the nodes alive a moment ago; cached, as thousands of jobs may be submitted at once."""
        if time.monotonic() - self._asked > FRESH_S:
            self._known, self._asked = [node for node in ray.nodes() if node["Alive"]], time.monotonic()
        return self._known

    def _needs(self, job: Job, fitting: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the task's options: a timing job takes all processors of a node, to be alone there."""
        more = {name: amount for name, amount in job.resources.items() if name not in ("CPU", "GPU")}
        needs = {"num_gpus": job.resources.get("GPU", 0), "resources": more}
        if not job.timing:
            labels = {"label_selector": job.labels} if job.labels else {}
            cpus = job.resources.get("CPU", 1)
            return {**needs, **labels, "num_cpus": cpus, "scheduling_strategy": "SPREAD"}
        node = min(fitting, key=lambda node: self._timed.get(node["NodeID"], 0))
        self._timed[node["NodeID"]] = self._timed.get(node["NodeID"], 0) + 1
        alone = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        return {**needs, "num_cpus": node["Resources"]["CPU"], "scheduling_strategy": alone}

    def _parcels(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return references to artifacts; each is put into the object store only once."""
        new = [key for key in keys if key not in self._sent]
        self._sent |= {parcel.manifest.key: ray.put(parcel) for parcel in pack(self._store.root, new)}
        return {key: self._sent[key] for key in keys if key in self._sent}

    def _arrived(self, ref: Any, came: Future[NodeResult], folder: Path) -> None:
        with self._lock:
            found = self._going.pop(ref, None)
        if found is None:
            return  # given up in the meantime
        job, future = found
        try:
            error = came.exception()
            if error is not None:
                self._asked = 0.0  # the set of nodes may have changed
                raise _translated(error, job)
            arrived = came.result()
            for parcel in arrived.parcels:
                unpack(self._store, parcel)
            _write(folder, arrived.files)
            future.set_result(arrived.done)
        except BaseException as failure:
            future.set_exception(failure)

    def look(self) -> None:
        """Poll the cluster; fail waiting jobs that no node can run any more."""
        nodes = self._nodes()
        alive = frozenset(node["NodeID"] for node in nodes)
        if alive == self._alive:
            return
        self._alive = alive
        with self._lock:
            stranded = [ref for ref, (job, _) in self._going.items() if not _fitting(job, nodes)]
            gone = [(ref, *self._going.pop(ref)) for ref in stranded]
        for ref, job, future in gone:
            ray.cancel(ref, force=True)
            future.set_exception(Unschedulable(_nowhere(job)))

    def stop(self) -> None:
        with self._lock:
            refs = list(self._going)
        for ref in refs:
            ray.cancel(ref)

    def close(self) -> None:
        with self._lock:
            futures = [future for _, future in self._going.values()]
        for future in futures:
            future.exception()
        self._arrivals.shutdown(wait=True)
        ray.shutdown()


def _must_answer(address: str) -> None:
    """Check that something listens at the address; Ray itself would try for minutes.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _where(address: str) -> dict[str, str]:
    """Return Ray's options for the cluster. A local one accepts connections from this machine only."""
    if not address:
        return {"address": "local", "_node_ip_address": "127.0.0.1"}
    # Ray replaces a loopback address by the machine's outer one, unless it is given as the node's address.
    host = address.rpartition(":")[0]
    return {"address": address, **({"_node_ip_address": host} if host.startswith("127.") else {})}


def _is_here(address: str) -> bool:
    """Whether all nodes are on this machine: a loopback address has no other."""
    return not address or address.startswith("127.")


def _checkout(root: Path, address: str) -> dict[str, Any]:
    """Return how tasks get the checkout: it is sent, but on this machine it is read in place.

    Several nodes on one machine would unpack it over each other.
    """
    if not _is_here(address):
        return {"working_dir": str(root), "excludes": list(LEFT_AT_HOME)}
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    return {"env_vars": {"PYTHONPATH": path}}


def perform(job: Job, name: str, parcels: Mapping[str, Any], root: str = "") -> NodeResult:
    """Run the job on this node, in a folder of that name that is removed afterwards. Runs as a Ray task.

    ``root``: the checkout, where it was not sent.
    """
    if THREADS not in psutil.Process().environ():
        os.environ.pop(THREADS, None)  # set by Ray; it would change the worker's order of summation
    where = getattr(job.work, "store", None)
    store = Store(where) if where is not None else None
    if store is not None:
        for key, ref in parcels.items():
            if not (store.root / key).exists():
                unpack(store, ray.get(ref))
    here = Path(root) if root else Path.cwd()
    with tempfile.TemporaryDirectory(prefix="paddle-conformance-") as scratch:
        folder = Path(scratch, name)
        lanes = max(1, int(job.resources.get("CPU", 1)))
        workspace = Workspace(here if is_checkout(here) else ROOT, folder, lanes=lanes)
        done = job.work.perform(workspace)
        made = [key for key in done.artifacts if key not in parcels]
        node = f"{socket.gethostname()} {ray.util.get_node_ip_address()}"
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return NodeResult(
            msgspec.structs.replace(done, where=node),
            {str(path.relative_to(folder)): path.read_bytes() for path in files},
            tuple(pack(store.root, made)) if store is not None else (),
        )


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a run, so that the folder appears complete or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    write_files(part, files)
    part.chmod(0o755)
    os.rename(part, folder)


def _translated(error: BaseException, job: Job) -> BaseException:
    """Translate Ray's exception into one of the interface."""
    if isinstance(error, exceptions.RayTaskError):
        error = error.cause
    if isinstance(error, exceptions.TaskCancelledError | KeyboardInterrupt):
        return Stopped(f"{job.name} was stopped")
    if isinstance(error, tuple(getattr(exceptions, name) for name in GONE)):
        return NodeLost(f"its node is gone ({type(error).__name__})")
    if isinstance(error, exceptions.WorkerCrashedError):
        return HarnessError("its process on the node was killed")
    return error


# Nodes


def _fitting(job: Job, nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the nodes that have what the job needs, whether or not it is free."""
    needs = {"CPU": 1.0, **job.resources}
    return [
        node
        for node in nodes
        if all(node["Resources"].get(name, 0) >= amount for name, amount in needs.items())
        and all(node.get("Labels", {}).get(name) == value for name, value in job.labels.items())
    ]


def _nowhere(job: Job) -> str:
    needs = [f"{name} {amount:g}" for name, amount in {"CPU": 1.0, **job.resources}.items()]
    needs += [f"the label {name}={value}" for name, value in job.labels.items()]
    return f"no node of the cluster has {', '.join(needs)}"
