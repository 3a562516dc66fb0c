"""Small packages and where they can be had: real wheels, indexes over http and https, a proxy."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import http.server
import select
import shutil
import socket
import ssl
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import trustme


def wheel(folder: Path, name: str, version: str, tag: str = "py3-none-any", text: str = "") -> Path:
    """A real wheel with one module; ``text`` tells it from another of the same version."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n{text}",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = [f"{path},sha256={digest(text.encode())},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, content in files.items():
            archive.writestr(inside, content)
    return path


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def pages(wheels: Path, folder: Path) -> Path:
    """The wheels as an index with a page for each package."""
    for path in wheels.glob("*.whl"):
        name = path.name.partition("-")[0]
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / name)
        links = (f'<a href="{each.name}">{each.name}</a>' for each in (folder / name).glob("*.whl"))
        text = "<!DOCTYPE html><html><body>" + "".join(links) + "</body></html>"
        (folder / name / "index.html").write_text(text)
    return folder


class Uncached(http.server.SimpleHTTPRequestHandler):
    """What is served may be kept, but has to be asked for again."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


class Guarded(Uncached):
    """As ``Uncached``, for those who say the word; writes down what was asked for."""

    def __init__(self, *arguments: Any, word: str, asked: list[str], **more: Any) -> None:
        self.word, self.asked = word, asked
        super().__init__(*arguments, **more)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        given = base64.b64encode(self.word.encode()).decode()
        if self.word and self.headers["Authorization"] != f"Basic {given}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()


class Served(NamedTuple):
    port: int
    asked: list[str]
    """The paths that were asked for, in their order."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *arguments: object) -> None:
        """A client that does not trust it hangs up: that is for the client to tell."""


@contextlib.contextmanager
def served(
    folder: Path,
    word: str = "",
    certificate: trustme.LeafCert | None = None,
    clients: trustme.CA | None = None,
) -> Iterator[Served]:
    """The folder on 127.0.0.1.

    Args:
        word: ``user:password`` that it asks for.
        certificate: its own, for https.
        clients: who has to have signed the certificate that a client shows.
    """
    asked: list[str] = []
    handler = functools.partial(Guarded, directory=str(folder), word=word, asked=asked)
    server = _Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            clients.configure_trust(context)
        # In the threads that answer, so that a client which hangs up does not hold the others.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with server, _running(server):
        yield Served(server.server_address[1], asked)


@contextlib.contextmanager
def _running(server: http.server.HTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


class _Proxy(http.server.BaseHTTPRequestHandler):
    """Opens tunnels, and writes down where to, and the credentials it was given."""

    def __init__(self, *arguments: Any, asked: list[str], **more: Any) -> None:
        self.asked = asked
        super().__init__(*arguments, **more)

    def do_CONNECT(self) -> None:
        scheme, _, given = self.headers.get("Proxy-Authorization", "").partition(" ")
        word = base64.b64decode(given).decode() if scheme == "Basic" else ""
        self.asked.append(f"{word}@{self.path}")
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port))) as other:
            self.send_response(200)
            self.end_headers()
            _pass_on(self.connection, other)

    def log_message(self, *arguments: object) -> None:
        pass


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    ends = {one: other, other: one}
    while True:
        for ready in select.select(list(ends), [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            ends[ready].sendall(data)


@contextlib.contextmanager
def proxy() -> Iterator[Served]:
    """A proxy on 127.0.0.1 for https; ``asked`` tells ``user:password@host:port`` of each tunnel."""
    asked: list[str] = []
    server = _Server(("127.0.0.1", 0), functools.partial(_Proxy, asked=asked))
    with server, _running(server):
        yield Served(server.server_address[1], asked)
