"""Kill a step at random points and do it again: `interruption.py STEP DATA WORK KILLS`.

Runs in the environment of the step's image. Prints one JSON object: how many attempts were
killed, and how many of the runs after them differed from one that nothing interrupted.

A step runs in a process of its own, forked from this one, which has the modules loaded already:
otherwise most attempts would be killed while Python imports.
"""

import hashlib
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

TASK: Final = "count"
SCENES: Final = {"synthetic": {"images": 60, "size": 48}, "workers": 1}

_MOST: Final = 20  # attempts for each kill: a short step often ends before it

Call = Callable[[], Any]


def calls(step: str, data: Path, out: Path) -> tuple[Call, list[Path]]:
    """Return a call of a step on the artifacts in `data`, and what it writes into `out`."""
    config = importlib.import_module(f"components.{step}.config")
    module = importlib.import_module(f"components.{step}.{step}")
    images, table, split_table = (data / name for name in ("images", "table", "split_table"))
    if step == "ingest":
        written = [out / name for name in ("images", "table", "rejected")]
        section = config.IngestSection.model_validate(SCENES)
        return lambda: module.ingest(section, TASK, 0, *written), written
    if step == "split":
        written = [out / name for name in ("split_table", "labels")]
        section = config.SplitSection(workers=1)
        return lambda: module.split(section, TASK, 0, images, table, *written), written
    if step == "augment":
        written = [out / name for name in ("augmented_images", "augmented_table")]
        section = config.AugmentSection(copies=1, workers=1)
        return lambda: module.augment(section, TASK, 0, images, split_table, *written), written
    section = config.Im2RecSection(resize=32, workers=1)
    inputs = (images, data / "augmented_images", data / "augmented_table")
    return lambda: module.im2rec(section, TASK, *inputs, out / "records"), [out / "records"]


def start(call: Callable[[], Any]) -> int:
    """Run a call in a process of its own, and of a process group that can be killed whole."""
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    code = 1
    try:
        call()
        code = 0
    finally:
        os._exit(code)


def finish(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def digest(paths: list[Path]) -> str:
    """Sum up artifacts; what an attempt left beside them is nobody's input."""
    total = hashlib.sha256()
    for path in paths:
        assert path.exists()
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            total.update(str(file.relative_to(path)).encode())
            total.update(file.read_bytes())
    return total.hexdigest()


def main(step: str, data: Path, work: Path, kills: int) -> None:
    """Write the step's artifacts into `data`, then as often again after a kill."""
    tempfile.tempdir = str(work)  # what killed attempts leave goes with the test's folder
    rng = random.Random(0)
    call, artifacts = calls(step, data, data)
    began = time.monotonic()
    assert finish(start(call)) == 0
    whole, seconds = digest(artifacts), time.monotonic() - began
    killed = different = 0
    for attempt in range(_MOST * kills):
        call, artifacts = calls(step, data, work / f"{step}-{attempt}")
        child = start(call)
        time.sleep(rng.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        if finish(child) != -signal.SIGKILL:  # it had ended already
            continue
        assert finish(start(call)) == 0
        different += digest(artifacts) != whole
        killed += 1
        if killed == kills:
            break
    print(json.dumps({"killed": killed, "different": different}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
