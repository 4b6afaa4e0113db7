"""The model server as a process that never outlives the step."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from components.shared.errors import UserError
from components.shared.signals import exit_on_sigterm

_ROOT = Path(__file__).resolve().parents[2]
_LOG_LINES = 15  # of the server's log in a message
_GRACE_SECONDS = 15  # after SIGTERM, before SIGKILL; the server itself waits less
_POLL_SECONDS = 0.05


@contextmanager
def serving(model: Path, timeout_s: float) -> Iterator[httpx.Client]:
    """Start a server for a model archive on a free port; yield a client of it; stop it.

    The server stops however the block ends: normally, by an exception, or by SIGTERM (which
    becomes `SystemExit`). Should this process be killed outright, the server notices the end of
    its standard input and stops by itself.

    Args:
        model: the archive.
        timeout_s: seconds until it must answer /ping.

    Raises:
        UserError: if it ends, or does not answer in time, with the last lines of its log; also
            if it stops answering while the block runs.
    """
    with tempfile.TemporaryDirectory(prefix="sightline-deploy-") as folder, exit_on_sigterm():
        log, address_file = Path(folder) / "server.log", Path(folder) / "address"
        process = _start(model, log, address_file)
        try:
            address = _wait_for_address(process, address_file, log, timeout_s)
            with httpx.Client(base_url=address, timeout=timeout_s, trust_env=False) as client:
                yield client
        except httpx.TransportError as error:
            raise UserError(
                f"deploy: the model server stopped answering ({type(error).__name__}: {error})"
                f"{_end_of(log)}"
            ) from error
        finally:
            _stop(process)


def serve_command(model: Path, port: int) -> list[str]:
    """Return the command that serves a model archive on a port (0: any free one)."""
    return [
        *(sys.executable, "-m", "components.deploy.server"),
        *("--model", str(model), "--port", str(port)),
    ]


def _start(model: Path, log: Path, address_file: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    command = [*serve_command(model, 0), "--address-file", str(address_file), "--lifeline"]
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": path},
        )


def _wait_for_address(
    process: subprocess.Popen[bytes], address_file: Path, log: Path, timeout_s: float
) -> str:
    """Return the server's address once /ping says that it is ready."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise UserError(
                f"deploy: the model server ended with status {process.returncode} before it "
                f"answered{_end_of(log)}"
            )
        if address_file.exists() and _is_ready(address := address_file.read_text()):
            return address
        time.sleep(_POLL_SECONDS)
    raise UserError(
        f"deploy: the model server did not answer /ping within {timeout_s:g} s; is the machine "
        f"busy? deploy.start_timeout_s gives it more time{_end_of(log)}"
    )


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/ping", timeout=1, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _end_of(log: Path) -> str:
    """Return the last lines of the server's log, as the end of a message."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    return "; its last lines:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()
