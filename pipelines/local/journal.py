"""What happened in a run, step by step: progress lines, and the record for its summary."""

import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO

Status = Literal["succeeded", "failed"]

_ECHO_EVERY = 10.0  # seconds between lines of a step's own progress


@dataclass
class StepRecord:
    """One step of a run."""

    name: str
    status: Status
    seconds: float
    cached: bool
    log: Path | None = None
    artifacts: dict[str, Path] = field(default_factory=dict)  # by output name
    kinds: dict[str, str] = field(default_factory=dict)  # KFP artifact types by output name


class Journal:
    """Collects step records and prints a line for each start and end."""

    def __init__(self, steps: int, stream: TextIO | None = None) -> None:
        self.records: list[StepRecord] = []
        self._steps = steps
        self._stream = stream or sys.stderr
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._last_echo = 0.0

    def say(self, text: str) -> None:
        """Print one line."""
        with self._lock:
            print(text, file=self._stream, flush=True)

    def begin(self, name: str) -> None:
        """Announce a step."""
        self._last_echo = time.monotonic()
        self.say(f"{self._position()} {name:<9} …")

    def echo(self, line: str) -> None:
        """Show a step's own progress now and then, so that a long step is seen to move."""
        text = _plain(line)
        if text.startswith("[KFP Executor"):
            return
        now = time.monotonic()
        if text and now - self._last_echo >= _ECHO_EVERY:
            self._last_echo = now
            self.say(f"{'':>17} {text[:140]}")

    def end(self, record: StepRecord) -> None:
        """Record a step that ended and say how."""
        position = self._position()
        self.records.append(record)
        how = "cached" if record.cached else f"{record.status} in {_duration(record.seconds)}"
        total = _duration(time.monotonic() - self._started)
        self.say(f"{position} {record.name:<9} {how} (total {total})")

    def _position(self) -> str:
        return f"[{len(self.records) + 1:>2}/{self._steps}]"


def _plain(line: str) -> str:
    """Drop colour codes and what a carriage return overwrote."""
    last = line.rstrip("\r\n").rsplit("\r", 1)[-1]
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", last).strip()


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


@contextmanager
def timed() -> Iterator[list[float]]:
    """Yield a list that holds the elapsed seconds once the block has ended."""
    elapsed: list[float] = []
    start = time.monotonic()
    try:
        yield elapsed
    finally:
        elapsed.append(time.monotonic() - start)


def tail(log: Path, lines: int = 15) -> list[str]:
    """Return a log's last non-empty lines, or from the last `error:` on when there is one."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 65_536))
        text = file.read().decode(errors="replace")
    found = [plain for line in text.splitlines() if (plain := _plain(line))]
    for index in range(len(found) - 1, -1, -1):
        if found[index].startswith("error: "):
            return found[index : index + 40]
    return found[-lines:]
