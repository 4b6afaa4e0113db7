"""The server as a user starts it: a process with a real model archive."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[3]
JPEG = {"Content-Type": "image/jpeg"}
MakeArchive = Callable[..., Path]
Process = subprocess.Popen[str]


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "components.deploy.server", *map(str, arguments)]


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@contextmanager
def _started(model: Path, folder: Path, *more: str) -> Iterator[tuple[Process, str]]:
    address = folder / "address"
    process = subprocess.Popen(
        _command(
            "--model", model, "--port", 0, "--address-file", address, "--device", "cpu", *more
        ),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not address.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process, address.read_text()
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.mark.slow
def test_it_serves_until_told_to_stop_and_answers_what_is_under_way(
    make_archive: MakeArchive, tmp_path: Path, encoded: Callable[..., bytes]
) -> None:
    with _started(make_archive(), tmp_path) as (process, address):
        with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
            ping = client.get("/ping")
            answer = client.post("/invocations", content=encoded(), headers=JPEG)
            broken = client.post("/invocations", content=encoded()[:300], headers=JPEG)
        process.terminate()
        output, _ = process.communicate(timeout=60)

    assert ping.status_code == 200
    assert ping.json()["task"] == "classify"
    assert answer.status_code == 200
    assert sum(answer.json()) == pytest.approx(1, abs=1e-5)
    assert answer.headers["X-Sightline-Model-Version"] == ping.json()["version"]
    assert broken.status_code == 400
    assert process.returncode == 0
    assert re.fullmatch(rf"serving resnet9 \(classify, [0-9a-f]{{12}}\) at {address}\n", output)


@pytest.mark.slow
def test_it_ends_with_the_process_that_holds_its_input(
    make_archive: MakeArchive, tmp_path: Path
) -> None:
    with _started(make_archive(), tmp_path, "--lifeline") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:0],
        lambda whole: b"no archive at all" + whole[:0],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:5_000] + b"\0" * 5_000 + whole[10_000:],
    ],
    ids=["empty", "text", "cut", "overwritten"],
)
def test_a_damaged_archive_ends_it_with_the_reason(
    make_archive: MakeArchive, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(damage(make_archive().read_bytes()))

    ended = _run("--model", path, "--port", 0)

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {path}: not a whole model archive")
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_a_missing_archive_ends_it_with_the_reason(tmp_path: Path) -> None:
    ended = _run("--model", tmp_path / "nothing", "--port", 0)

    assert ended.returncode == 1
    assert "nothing: no such model archive" in ended.stderr


@pytest.mark.slow
def test_a_port_in_use_ends_it_with_the_reason(make_archive: MakeArchive) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = _run("--model", make_archive(), "--port", taken.getsockname()[1])

    assert ended.returncode == 1
    assert "choose another with --port" in ended.stderr


@pytest.mark.slow
def test_it_can_be_told_to_stop_while_it_loads(make_archive: MakeArchive) -> None:
    process = subprocess.Popen(_command("--model", make_archive(), "--port", 0), cwd=ROOT)
    time.sleep(0.5)

    os.kill(process.pid, signal.SIGTERM)

    assert process.wait(30) in (0, -signal.SIGTERM)
