"""Run a command that must not outlive the process which started it.

`python guard.py COMMAND …` runs COMMAND in a process group of its own and ends the group
when standard input closes, which the operating system does even for a starter that was
killed with SIGKILL. Ending means SIGTERM first, so that a training can save its checkpoint.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

GRACE = 20.0  # seconds between SIGTERM and SIGKILL


def main(command: list[str]) -> int:
    """Run `command`; return its exit status."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def stop() -> None:
        _signal_group(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE)
        _signal_group(child.pid, signal.SIGKILL)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=stop, daemon=True).start()

    def watch() -> None:
        while os.read(0, 4096):
            pass
        stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    threading.Thread(target=watch, daemon=True).start()
    status = child.wait()
    # Helpers that the command left behind (reader processes) end with it.
    _signal_group(child.pid, signal.SIGKILL)
    return status if status >= 0 else 128 - status


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
