"""Jobs as tasks of a Ray cluster, whose scheduler finds them nodes that have what they need.

A node needs Ray and the harness's own dependencies; the checkout travels with the tasks. Artifacts travel
through Ray's object store by way of this side's store, so that they outlive the node that made them.
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
"""What of the checkout no job reads."""
GONE = ("NodeDiedError", "ObjectLostError", "TaskUnschedulableError", "LocalRayletDiedError")
"""How a task ends whose node, or what it was to read, is gone."""


def must_be_installed() -> None:
    """Raises a UsageError where Ray is not."""
    if ray is None:
        raise UsageError(
            "--backend ray needs Ray: install the project's ray extra "
            "(pip install 'paddle-conformance[ray]') here and on every node, or leave the option out"
        )


class NodeResult(msgspec.Struct, frozen=True):
    """What comes back from a node: the work's own word, the files it wrote, the artifacts it made."""

    done: TaskResult
    files: dict[str, bytes]
    parcels: tuple[Parcel, ...]


class OnRay:
    """The backend on a cluster.

    Args:
        root: the checkout, which travels.
        store: this side's.
        address: of the cluster; '' starts one on this machine.
    """

    def __init__(self, root: Path, store: Path, address: str) -> None:
        must_be_installed()
        if "://" in address:
            raise UsageError(
                f"--address {address}: run the command on a node of the cluster, and give HOST:PORT or auto"
            )
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray's own is 15: beside any other program a job would wait, and a timing job measure that.
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
        """Those that were alive a moment ago: thousands of jobs are submitted in one."""
        if time.monotonic() - self._asked > FRESH_S:
            self._known, self._asked = [node for node in ray.nodes() if node["Alive"]], time.monotonic()
        return self._known

    def _needs(self, job: Job, fitting: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Options of the task: a timing job takes every processor of one node, so it is alone there."""
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
        """Each artifact is put into the object store once, whoever reads it."""
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
                self._asked = 0.0  # who is there may have changed with it
                raise _told(error, job)
            arrived = came.result()
            for parcel in arrived.parcels:
                unpack(self._store, parcel)
            _write(folder, arrived.files)
            future.set_result(arrived.done)
        except BaseException as failure:
            future.set_exception(failure)

    def look(self) -> None:
        """Jobs that wait for a node which has gone, and that no other could run, end here."""
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
    """Somebody listens there; Ray itself would ask for minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _where(address: str) -> dict[str, str]:
    """What Ray is told of the cluster. One of this machine alone is for this machine alone."""
    if not address:
        return {"address": "local", "_node_ip_address": "127.0.0.1"}
    # Ray takes a loopback address for this machine's outer one, unless it is said to be the node's own.
    host = address.rpartition(":")[0]
    return {"address": address, **({"_node_ip_address": host} if host.startswith("127.") else {})}


def _is_here(address: str) -> bool:
    """Whether all nodes are on this machine: a loopback address has no other."""
    return not address or address.startswith("127.")


def _checkout(root: Path, address: str) -> dict[str, Any]:
    """How tasks come by the checkout: it travels, but on this machine it is read where it lies.

    Nodes of one machine would unpack it over each other.
    """
    if not _is_here(address):
        return {"working_dir": str(root), "excludes": list(LEFT_AT_HOME)}
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    return {"env_vars": {"PYTHONPATH": path}}


def perform(job: Job, name: str, parcels: Mapping[str, Any], root: str = "") -> NodeResult:
    """Do the job on this node, in a folder of that name that is removed afterwards. Runs as a Ray task.

    ``root``: the checkout, where it did not travel.
    """
    if THREADS not in psutil.Process().environ():
        os.environ.pop(THREADS, None)  # set by Ray for its task; the worker would compute in another order
    where = getattr(job.work, "store", None)
    store = Store(where) if where is not None else None
    if store is not None:
        for key, ref in parcels.items():
            if not (store.root / key).exists():
                unpack(store, ray.get(ref))
    here = Path(root) if root else Path.cwd()
    with tempfile.TemporaryDirectory(prefix="paddle-conformance-") as scratch:
        folder = Path(scratch, name)
        done = job.work.perform(Workspace(here if is_checkout(here) else ROOT, folder))
        made = [key for key in done.artifacts if key not in parcels]
        node = f"{socket.gethostname()} {ray.util.get_node_ip_address()}"
        return NodeResult(
            msgspec.structs.replace(done, where=node),
            {str(path.relative_to(folder)): path.read_bytes() for path in _files(folder)},
            tuple(pack(store.root, made)) if store is not None else (),
        )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """The files of a run, in a folder that appears whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    for name, content in files.items():
        path = part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    part.chmod(0o755)
    os.rename(part, folder)


def _told(error: BaseException, job: Job) -> BaseException:
    """Ray's exception in the words of the interface."""
    if isinstance(error, exceptions.RayTaskError):
        error = error.cause
    if isinstance(error, exceptions.TaskCancelledError | KeyboardInterrupt):
        return Stopped(f"{job.name} was told to end")
    if isinstance(error, tuple(getattr(exceptions, name) for name in GONE)):
        return NodeLost(f"its node is gone ({type(error).__name__})")
    if isinstance(error, exceptions.WorkerCrashedError):
        return HarnessError("its process on the node was killed")
    return error


# Nodes


def _fitting(job: Job, nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The nodes that have what the job needs, whether or not they have it free."""
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
