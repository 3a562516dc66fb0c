"""The remote agent: a cache of files by content on another host, and control of the workers there.

The controller sends this text before anything of the project is on that host, so it imports only the
standard library. Below :func:`root` are ``files/<sha256>``, the files that arrived, and ``trees/<digest>``,
folders of links to them under their names on the controller. Both appear by one rename, so they are complete
or absent; both are verified by sha256 before use, and damaged files are sent again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from typing import Any, Dict, List, Optional, Tuple

_seen: Dict[str, Tuple[Tuple[int, ...], str]] = {}
_workers: Dict[int, str] = {}
_ended: Dict[int, int] = {}
_logs: List[str] = []


def root() -> str:
    """Return the folder of this cache: below ``$XDG_CACHE_HOME``, or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "paddle-conformance", "elsewhere")


def hello() -> Dict[str, Any]:
    """Make the cache, for this user only; return which host and interpreter this is."""
    for name in ("files", "trees", "logs"):
        os.makedirs(os.path.join(root(), name), mode=0o700, exist_ok=True)
    return {
        "host": platform.node(),
        "python": sys.executable,
        "version": list(sys.version_info[:3]),
        "cache": root(),
    }


# Files


def digest_of(path: str) -> str:
    """Return the file's sha256, read again only if it has changed since; '' if there is no file."""
    try:
        stat = os.stat(path)
        touched = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        if _seen.get(path, ((), ""))[0] != touched:
            content = hashlib.sha256()
            with open(path, "rb") as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    content.update(block)
            _seen[path] = (touched, content.hexdigest())
        return _seen[path][1]
    except OSError:
        return ""


def _kept(digest: str) -> str:
    return os.path.join(root(), "files", digest)


def lacking(digests: List[str]) -> List[str]:
    """Return those digests for which no undamaged file is here."""
    return [digest for digest in digests if digest_of(_kept(digest)) != digest]


def put(digest: str, first: bool, data: bytes, last: bool) -> None:
    """Receive the next piece of a file; with the ``last`` piece, keep the file if its digest is right.

    Raises:
        ValueError: the file that arrived has another digest.
    """
    part = f"{_kept(digest)}.part-{os.getpid()}"
    with open(part, "wb" if first else "ab") as file:
        file.write(data)
    if not last:
        return
    arrived = digest_of(part)
    if arrived != digest:
        os.remove(part)
        raise ValueError(f"a file arrived as {arrived} and was sent as {digest}")
    os.chmod(part, 0o400)
    os.replace(part, _kept(digest))


def lay(files: Dict[str, str]) -> str:
    """Make a folder with these files, ``{relative path: sha256}``, which are all here; return its path."""
    name = hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()
    folder = os.path.join(root(), "trees", name)
    if _is_whole(folder, files):
        return folder
    part = tempfile.mkdtemp(prefix=name + ".part-", dir=os.path.dirname(folder))
    for relative, digest in files.items():
        path = os.path.join(part, relative)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            os.link(_kept(digest), path)
        except OSError:  # a file system without links
            shutil.copyfile(_kept(digest), path)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        os.rename(part, folder)
    except OSError:
        # Another run was faster.
        shutil.rmtree(part, ignore_errors=True)
        if not _is_whole(folder, files):
            raise
    return folder


def _is_whole(folder: str, files: Dict[str, str]) -> bool:
    return all(digest_of(os.path.join(folder, relative)) == digest for relative, digest in files.items())


# Workers


def new_log() -> str:
    """Make an empty file for a worker's output; return its path."""
    handle, path = tempfile.mkstemp(suffix=".log", dir=os.path.join(root(), "logs"))
    os.close(handle)
    _logs.append(path)
    return path


def adopt(pid: int, log: str) -> None:
    """Register a worker that was started: it ends with the connection at the latest."""
    _workers[pid] = log


def read(log: str, offset: int) -> bytes:
    """Return what a worker printed after ``offset`` (bytes)."""
    with open(log, "rb") as file:
        file.seek(offset)
        return file.read()


def status(pid: int) -> Optional[int]:
    """Return a worker's exit status, as `subprocess` gives it; None if it is still alive after 10 s."""
    for _ in range(200):
        if pid in _ended:
            break
        ended, how = os.waitpid(pid, os.WNOHANG)
        if ended:
            _ended[pid] = -os.WTERMSIG(how) if os.WIFSIGNALED(how) else os.WEXITSTATUS(how)
        time.sleep(0.05)
    return _ended.get(pid)


def kill(pid: int) -> None:
    """Kill a worker and all processes that it started: it leads a separate process group."""
    log = _workers.pop(pid, "")
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        os.remove(log)


def serve(channel: Any) -> None:
    """Answer ``(function, arguments)`` until the connection ends; then kill the workers started here."""
    try:
        for name, arguments in channel:
            try:
                answer = ("ok", globals()[name](*arguments))
            except Exception as error:
                answer = (type(error).__name__, str(error))
            channel.send(answer)
    finally:
        for pid in list(_workers):
            kill(pid)
        for log in _logs:
            with contextlib.suppress(OSError):
                os.remove(log)


if __name__ == "__channelexec__":
    serve(channel)  # type: ignore[name-defined]  # noqa: F821
