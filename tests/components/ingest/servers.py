"""Real servers for the download tests: a file server, and a proxy that harms what it passes on."""

import hashlib
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit


class Handler(BaseHTTPRequestHandler):
    """A handler that keeps the tests' output quiet."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a server with a handler; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Files:
    """What a file server offers, and how well it knows HTTP.

    Attributes:
        content: bytes by path, without the leading slash.
        ranges: whether it sends the rest of a file when asked to.
        conditions: whether it heeds `If-Range`.
        tags: whether it names a file's version.
        lengths: whether it says how many bytes come.
        headers: that it adds to each answer.
    """

    content: dict[str, bytes]
    ranges: bool = True
    conditions: bool = True
    tags: bool = True
    lengths: bool = True
    headers: dict[str, str] = field(default_factory=dict)

    def handler(self) -> type[Handler]:
        return type("FileHandler", (_FileHandler,), {"files": self})


class _FileHandler(Handler):
    files: ClassVar[Files]

    def do_GET(self) -> None:
        files = self.files
        data = files.content.get(self.path.lstrip("/").partition("?")[0])
        if data is None:
            self.send_error(404)
            return
        tag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        start = self._start(tag)
        if start is not None and start >= len(data):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200 if start is None else 206)
        if files.tags:
            self.send_header("ETag", tag)
        for name, value in files.headers.items():
            self.send_header(name, value)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        body = data[start or 0 :]
        if files.lengths:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def _start(self, tag: str) -> int | None:
        asked = self.headers.get("Range")
        if asked is None or not self.files.ranges:
            return None
        if self.files.conditions and self.headers.get("If-Range", tag) != tag:
            return None
        return int(asked.removeprefix("bytes=").partition("-")[0])


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer.

    Attributes:
        status: answer this instead; 0 for what the server says.
        cut_after: bytes of the body after which the connection is cut; None for all of it.
        pause: seconds before each piece of the body.
        hold: after `cut_after` bytes keep the connection open instead, until the other end does.
        headers: of an answer with `status`.
        flip: position of a byte of the body to change.
    """

    status: int = 0
    cut_after: int | None = None
    pause: float = 0.0
    hold: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    flip: int | None = None


class Proxy:
    """Passes requests on to a server, and harms the answers.

    Attributes:
        url: its address.
        faults: what goes wrong with the next GET requests, in order; `None`: nothing.
        asked: method, path and range of the requests, in order.
    """

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self.faults: list[Fault | None] = []
        self.asked: list[tuple[str, str, str]] = []
        self.upstream = urlsplit(upstream).netloc
        self.lock = threading.Lock()

    def next_fault(self, method: str) -> Fault:
        with self.lock:
            found = self.faults.pop(0) if method == "GET" and self.faults else None
        return found or Fault()


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    """Run a proxy before a server."""
    proxy = Proxy(upstream)
    with serving(type("ProxyHandler", (_ProxyHandler,), {"proxy": proxy})) as url:
        proxy.url = url
        yield proxy


class _ProxyHandler(Handler):
    proxy: ClassVar[Proxy]

    def _pass_on(self) -> None:
        self.proxy.asked.append((self.command, self.path, self.headers.get("Range", "")))
        fault = self.proxy.next_fault(self.command)
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if fault.status:
            self.send_response(fault.status)
            for name, value in fault.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        upstream = http.client.HTTPConnection(self.proxy.upstream, timeout=20)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "server", "date"}:
                self.send_header(name, value)
        if answer.getheader("Content-Length") is None:
            self.send_header("Connection", "close")
        self.end_headers()
        upstream.close()
        if self.command != "HEAD":
            self._send(data, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815

    def _send(self, data: bytes, fault: Fault) -> None:
        if fault.flip is not None:
            data = data[: fault.flip] + bytes([data[fault.flip] ^ 1]) + data[fault.flip + 1 :]
        whole = fault.cut_after is None or fault.cut_after >= len(data)
        sent = data if whole else data[: fault.cut_after]
        step = max(1, len(sent) // 4) if fault.pause else max(1, len(sent))
        with suppress(OSError):
            for at in range(0, len(sent), step):
                time.sleep(fault.pause)
                self.wfile.write(sent[at : at + step])
            self.wfile.flush()
            if whole:
                return
            if fault.hold:
                self.connection.settimeout(20)
                self.connection.recv(1)  # returns when the other end is gone
        self.close_connection = True
