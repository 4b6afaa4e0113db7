"""A contestant in a process of its own: does its work once for each line it is sent.

`python -m tests.benchmarks.worker module:function '{"argument": …}'`. The function prepares what
only has to be done once (imports, opening data) and returns `Contestant`. Only `run` is timed, so
neither start-up nor tidying counts.
"""

import contextlib
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")  # a second, of the kernel's count of processor time


def nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Contestant:
    """What is timed.

    Attributes:
        run: the work; returns the number of images done.
        before: done before each run, untimed.
        versions: of the packages that do the work.
    """

    run: Callable[[], int]
    versions: dict[str, str]
    before: Callable[[], None] = nothing


def cpu_seconds(pid: int | str = "self") -> float:
    """Return the processor time of a process and of all processes it started."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / TICKS  # and of children that ended
    children = [
        child
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text(encoding="utf-8").split()
    ]
    return own + sum(map(cpu_seconds, children))


def main() -> None:
    """Prepare, then answer each line of standard input with a line of JSON."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the contestants print must not be taken for answers
    module, _, name = sys.argv[1].partition(":")
    contestant: Contestant = getattr(importlib.import_module(module), name)(
        **json.loads(sys.argv[2])
    )
    answers.write(json.dumps(contestant.versions) + "\n")
    for _ in sys.stdin:
        contestant.before()
        os.sync()  # what an earlier run wrote is not this one's burden
        cpu, start = cpu_seconds(), time.perf_counter()
        images = contestant.run()
        seconds = time.perf_counter() - start
        used = max(cpu_seconds() - cpu, 1 / TICKS)  # less cannot be measured
        taken = {"images": images, "seconds": seconds, "cpu": used}
        answers.write(json.dumps(taken) + "\n")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
