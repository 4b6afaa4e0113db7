"""Contestants that take turns: on a machine with other work, only ratios of a round count."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

from components.shared.closing import Closing

ROOT: Final = Path(__file__).resolve().parents[2]
_PATIENCE_S: Final = 20


@dataclass(frozen=True)
class Entry:
    """A contestant: its name, the environment it runs in, and what makes it.

    Attributes:
        name: as the table shows it.
        environment: of which image.
        factory: `module:function`, see `tests.benchmarks.worker`.
        arguments: of the function.
    """

    name: str
    environment: str
    factory: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Goal:
    """How many times as fast one contestant should be as another."""

    ours: str
    theirs: str
    at_least: float


@dataclass
class Times:
    """What one contestant took in each round, an image."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


class Worker(Closing):
    """A contestant's process. Use as a context manager."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        python = ROOT / ".venvs" / entry.environment / "bin" / "python"
        program = [str(python), "-m", "tests.benchmarks.worker"]
        self._process = subprocess.Popen(
            [*program, entry.factory, json.dumps(entry.arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a process group of its own, with all it starts
        )
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.versions = self._answer()
        return self

    def close(self) -> None:
        """End the process, and what it started."""
        with suppress(subprocess.TimeoutExpired):  # it ends, and what it started, with its input
            self._process.communicate(timeout=_PATIENCE_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def run(self) -> tuple[float, float]:
        """Do the work once; return seconds and processor seconds an image."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        taken = self._answer()
        return taken["seconds"] / taken["images"], taken["cpu"] / taken["images"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, problem = self._process.communicate()
            raise SystemExit(f"{self._entry.name} failed:\n{problem[-3000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def compare(title: str, entries: Sequence[Entry], goals: Sequence[Goal], rounds: int) -> None:
    """Let the contestants take turns, after one round that does not count; print a table."""
    times = {entry.name: Times() for entry in entries}
    with ExitStack() as stack:
        workers = {entry.name: stack.enter_context(Worker(entry)) for entry in entries}
        for turn in range(rounds + 1):
            for name, worker in workers.items():
                wall, cpu = worker.run()
                print(f"  {title}: round {turn}, {name}: {1 / wall:,.0f}/s", file=sys.stderr)
                if turn:
                    times[name].wall.append(wall)
                    times[name].cpu.append(cpu)
        versions = {key: value for worker in workers.values() for key, value in
                    worker.versions.items()}  # fmt: skip
    print(f"\n### {title}\n")
    print("\n".join(_table(times)))
    print()
    print("\n".join(_ratios(times, goals)))
    print(f"\n{', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}")


def _table(times: dict[str, Times]) -> list[str]:
    lines = [
        "| | images/s, median | spread | processor, ms an image |",
        "|---|---:|---:|---:|",
    ]
    for name, taken in times.items():
        rates = sorted(1 / wall for wall in taken.wall)
        lines.append(
            f"| {name} | {median(rates):,.0f} | {rates[0]:,.0f} to {rates[-1]:,.0f} | "
            f"{1000 * median(taken.cpu):,.3g} |"
        )
    return lines


def _ratios(times: dict[str, Times], goals: Sequence[Goal]) -> list[str]:
    lines = [
        "| as fast as | times, median | spread | by processor time | goal | |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for goal in goals:
        ours, theirs = times[goal.ours], times[goal.theirs]
        wall = sorted(b / a for a, b in zip(ours.wall, theirs.wall, strict=True))
        cpu = [b / a for a, b in zip(ours.cpu, theirs.cpu, strict=True)]
        lines.append(
            f"| {goal.ours}, against {goal.theirs} | {median(wall):.2f} | "
            f"{wall[0]:.2f} to {wall[-1]:.2f} | {median(cpu):.2f} | {goal.at_least:.2f} | "
            f"{'reached' if median(wall) >= goal.at_least else 'missed'} |"
        )
    return lines
