"""The server as a process: how it starts, dies and is stopped, whatever happens around it."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from components.deploy import process
from components.deploy.process import serving
from components.shared.errors import UserError

# A server that answers /ping, and writes its process id into a file.
SERVER = """
import http.server, os, pathlib, signal, sys, threading
{setup}
address_file = pathlib.Path(sys.argv[sys.argv.index("--address-file") + 1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status})
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
address_file.write_text(f"http://127.0.0.1:{{server.server_port}}")
server.serve_forever()
"""
Pretend = Callable[..., Path]


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Return a function that puts a script in the server's place; it gives the id's file."""

    def put(setup: str = "", status: int = 200) -> Path:
        script = tmp_path / "server.py"
        script.write_text(SERVER.format(setup=setup, status=status))
        number = tmp_path / "pid"
        command = [sys.executable, str(script), str(number)]
        monkeypatch.setattr(process, "serve_command", lambda *_: command)
        return number

    return put


def _is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def _be_terminated() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)  # the signal ends the sleep


def _ping_after_death(client: httpx.Client, number: int) -> None:
    os.kill(number, signal.SIGKILL)
    time.sleep(0.2)
    client.get("/ping")


def test_the_server_runs_within_the_block_only(pretend: Pretend, tmp_path: Path) -> None:
    number = pretend()

    with serving(tmp_path / "model", 30) as client:
        assert client.get("/ping").status_code == 200
        assert _is_running(int(number.read_text()))

    assert not _is_running(int(number.read_text()))


def test_an_exception_in_the_block_stops_it(pretend: Pretend, tmp_path: Path) -> None:
    number = pretend()

    with pytest.raises(ZeroDivisionError), serving(tmp_path / "model", 30):
        _ = 1 / 0

    assert not _is_running(int(number.read_text()))


def test_sigterm_stops_it_and_ends_the_step(pretend: Pretend, tmp_path: Path) -> None:
    number = pretend()
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(SystemExit) as caught, serving(tmp_path / "model", 30):
        _be_terminated()

    assert caught.value.code == 128 + signal.SIGTERM
    assert not _is_running(int(number.read_text()))
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_server_that_does_not_stop_when_told_is_killed(
    pretend: Pretend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_GRACE_SECONDS", 0.2)
    number = pretend("signal.signal(signal.SIGTERM, signal.SIG_IGN)")

    with serving(tmp_path / "model", 30):
        pass

    assert not _is_running(int(number.read_text()))


def test_a_server_that_dies_at_its_start_is_noticed_at_once(
    pretend: Pretend, tmp_path: Path
) -> None:
    pretend("print('loading'); sys.exit('error: the archive is damaged')")
    start = time.monotonic()

    with pytest.raises(UserError) as caught, serving(tmp_path / "model", 60):
        pass

    assert time.monotonic() - start < 20
    assert "ended with status 1 before it answered; its last lines:" in str(caught.value)
    assert "  loading\n  error: the archive is damaged" in str(caught.value)


def test_a_server_that_is_never_ready_is_given_up(pretend: Pretend, tmp_path: Path) -> None:
    number = pretend(status=503)

    with pytest.raises(UserError) as caught, serving(tmp_path / "model", 2):
        pass

    assert "did not answer /ping within 2 s" in str(caught.value)
    assert "deploy.start_timeout_s" in str(caught.value)

    assert not _is_running(int(number.read_text()))


def test_a_server_that_dies_under_way_is_explained(pretend: Pretend, tmp_path: Path) -> None:
    number = pretend("print('all is well', flush=True)")

    with pytest.raises(UserError) as caught, serving(tmp_path / "model", 30) as client:
        _ping_after_death(client, int(number.read_text()))

    assert "stopped answering" in str(caught.value)
    assert "all is well" in str(caught.value)
