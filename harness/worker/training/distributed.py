"""Jobs of several processes, started as document 004 starts them: `python -m paddle.distributed.launch`.

A job ends by itself or at its time limit, and none of its processes outlives the call. The launcher puts
every rank into a separate session, so ranks are found by an environment variable of the job.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from typing import Any, Dict, List, Optional, Sequence

import paddle

from harness.worker.training import data_parallel
from harness.worker.training.data_parallel import training

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(data_parallel.__file__)), "__main__.py")
DEADLINE_S = 90.0
GRACE_S = 3.0
"""Seconds that ranks may take to end before they count as left behind."""
MARK = "HARNESS_JOB"
TAIL = 6000
"""Number of characters kept of each log."""


def available(backend: str) -> Optional[str]:
    """Return why no job with this backend can run here, or None."""
    if not paddle.distributed.is_available():
        return "this build of Paddle has no distributed training"
    if backend == "nccl":
        if not paddle.is_compiled_with_cuda():
            return f"nccl needs paddlepaddle-gpu: Paddle {paddle.__version__} here is a CPU build"
        count = paddle.device.cuda.device_count()
        if count < 2:
            return f"nccl between two processes needs two GPUs: this build of Paddle sees {count}"
    return None


def free_port() -> int:
    """Return a port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(
    digits: str,
    config: Dict[str, Any],
    processes: int = 2,
    hosts: int = 1,
    options: Optional[Sequence[str]] = None,
    variables: Optional[Dict[str, str]] = None,
    limit_s: float = DEADLINE_S,
    out: str = "",
) -> Dict[str, Any]:
    """Run a job to its end and return how it ended.

    Args:
        config: settings over the defaults of ``data_parallel.training``.
        hosts: number of launchers that share the processes, as on several machines.
        options: the launcher's options, in place of those for the number of processes.
        variables: environment variables, over those of this process.
        limit_s: seconds after which the job is ended.
        out: an existing folder that keeps the job's files; without it only the results are kept.

    Returns ``ended`` (``"by itself"`` or ``"by the deadline"``), ``statuses`` of the launchers,
    ``printed`` by them, ``logs`` of the ranks, ``left`` (processes that it left running), ``seconds``, and
    the ``ranks`` and ``checkpoints`` of ``training.read``.
    """
    folder = out or tempfile.mkdtemp(prefix="harness-job-")
    scratch = tempfile.mkdtemp(prefix="harness-job-logs-")
    mark = uuid.uuid4().hex
    device = config.get("device", "cpu")
    path = os.path.join(scratch, "config.json")
    with open(path, "w") as file:
        json.dump(training.config_of(**{**config, "digits": digits, "out": folder}), file)
    # One GPU for each process, and nccl; or so many processes, and gloo.
    each = processes // hosts
    usual = "--gpus=" + ",".join(map(str, range(each))) if device == "gpu" else f"--nproc_per_node={each}"
    asked = list(options or [usual])
    if hosts > 1:
        asked += [f"--nnodes={hosts}", f"--master=127.0.0.1:{free_port()}"]
    started = time.monotonic()
    launchers: List[Any] = []
    try:
        for host in range(hosts):
            log = os.path.join(scratch, f"host-{host}")
            own = [*asked, f"--rank={host}"] if hosts > 1 else asked
            launchers.append(_launch([f"--log_dir={log}", *own, SCRIPT, path], log, mark, device, variables))
        ended = _wait(launchers, started + limit_s)
        left = survivors(mark) if ended == "by the deadline" else _left(mark)
        return {
            "ended": ended,
            "statuses": [launcher.poll() for launcher in launchers],
            "printed": _read(os.path.join(scratch, "host-0.txt")),
            "logs": [
                _read(os.path.join(scratch, f"host-{host}", name))
                for host in range(hosts)
                for name in _logs(os.path.join(scratch, f"host-{host}"))
            ],
            "left": len(left),
            "seconds": time.monotonic() - started,
            **training.read(folder),
        }
    finally:
        _end(mark, launchers)
        shutil.rmtree(scratch, ignore_errors=True)
        if not out:
            shutil.rmtree(folder, ignore_errors=True)


def _launch(
    arguments: List[str], log: str, mark: str, device: str, variables: Optional[Dict[str, str]]
) -> Any:
    """Start a launcher in the folder of its log: its store writes `http.log` into the working folder."""
    # Variables about another job, or about another interpreter's packages, must not reach this one.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PADDLE_", "PYTHONPATH", "PYTHONHOME"))
    }
    # A build with CUDA would use the GPUs that it sees.
    backend = {"PADDLE_DISTRI_BACKEND": "gloo"} if device == "cpu" and paddle.is_compiled_with_cuda() else {}
    with open(log + ".txt", "wb") as printed:
        return subprocess.Popen(
            [sys.executable, "-m", "paddle.distributed.launch", *arguments],
            env={**kept, **backend, **(variables or {}), MARK: mark},
            cwd=os.path.dirname(log),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait(launchers: List[Any], until: float) -> str:
    for launcher in launchers:
        try:
            launcher.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return "by the deadline"
    return "by itself"


def survivors(mark: str) -> List[int]:
    """Return the running processes that were started with this mark."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for name in os.listdir("/proc"):
        # A process of another user, or one that has just ended, cannot be read; a zombie has no
        # variables.
        with contextlib.suppress(OSError):
            if name.isdigit():
                with open(f"/proc/{name}/environ", "rb") as file:
                    if wanted in file.read().split(b"\0"):
                        found.append(int(name))
    return found


def _left(mark: str) -> List[int]:
    until = time.monotonic() + GRACE_S
    while True:
        found = survivors(mark)
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.05)


def _end(mark: str, launchers: List[Any]) -> None:
    while True:
        found = survivors(mark)
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for launcher in launchers:
            launcher.wait()  # it is dead, or about to be
        if not found:
            return
        time.sleep(0.02)


def _logs(folder: str) -> List[str]:
    found = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name for name in found if name.startswith("workerlog."))


def _read(path: str) -> str:
    with open(path, "rb") as file:
        text = file.read().decode("utf-8", "replace")
    # Paddle 2.6's launcher prints every environment variable with an error: that does not belong in a record.
    kept = [line for line in text.splitlines() if not line.startswith("env {")]
    return "\n".join(kept)[-TAIL:]
