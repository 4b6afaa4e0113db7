import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.local import guard

COMMAND = [sys.executable, "-I", "-S", guard.__file__]


def start(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, sys.executable, "-u", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def gone(pid: int, within: float = 10.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # A zombie whose parent is the test's init counts as gone.
        if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("status", [0, 1, 7])
def test_the_exit_status_is_the_commands(status: int) -> None:
    assert start(f"raise SystemExit({status})").wait(10) == status


def test_a_command_ended_by_a_signal_is_a_failure() -> None:
    assert start("import os; os.kill(os.getpid(), 9)").wait(10) == 128 + 9


def test_the_group_ends_when_its_starter_is_gone() -> None:
    script = (
        "import subprocess, sys, os\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    process = start(script)
    assert process.stdout is not None
    assert process.stdin is not None
    grandchild = int(process.stdout.readline())
    process.stdin.close()  # what the operating system does for a starter killed with SIGKILL
    assert process.wait(10) != 0
    assert gone(grandchild)


def test_sigterm_reaches_the_command_first() -> None:
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(3)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = start(script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "saved\n"
    assert process.wait(10) == 3
