"""Time and memory of the data steps by the number of images: `scale.py --images 5000 50000`.

Draws small JPEGs in the Amazon Bin Image Dataset's layout, then runs ingest, validate, split and
im2rec, each in the environment of its image, as a run of the pipeline does. Prints a table:
memory is the most that a step and its worker processes held together (proportional set size,
sampled), and, as `largest`, of its largest process (`ru_maxrss`).
"""

import argparse
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

ROOT: Final = Path(__file__).resolve().parents[2]
BASE: Final = 50_000  # memory is compared with that at this number of images
EDGE: Final = 32  # pixels
COPIES: Final = 100  # one image in so many is its neighbour, encoded anew
_SAMPLE_S: Final = 0.05
_CHUNK: Final = 1000  # images drawn at a time

# What each step runs, with the folder of its size as `work`.
STEPS: Final = {
    "ingest": """
from components.ingest.config import IngestSection
from components.ingest.ingest import ingest
section = IngestSection(format="bins", uri=str(work / "source"))
ingest(section, "count", 0, work / "images", work / "table", work / "rejected")
""",
    "validate": """
from components.validate.config import ValidateSection
from components.validate.validate import Inputs, Outputs, validate
inputs = Inputs(*(work / name for name in ("images", "table", "rejected")))
outputs = Outputs(*(work / name for name in ("result", "docs", "report", "profile")))
validate(ValidateSection(), "count", 0, "", inputs, outputs)
""",
    "split": """
from components.split.config import SplitSection
from components.split.split import split
paths = [work / name for name in ("images", "table", "split_table", "labels")]
summary = split(SplitSection(), "count", 0, *paths)
assert summary.near_duplicate_groups >= 0.99 * (images // 100), summary
""",
    "im2rec": """
from components.im2rec.config import Im2RecSection
from components.im2rec.im2rec import im2rec
(work / "augmented").mkdir(exist_ok=True)
im2rec(
    Im2RecSection(), "count", work / "images", work / "augmented", work / "split_table",
    work / "records",
)
""",
}
ENVIRONMENTS: Final = {"im2rec": "recordio"}  # of the others: data


@dataclass(frozen=True)
class Measurement:
    """One step at one size: wall time, processor time of all its processes, memory in MiB."""

    images: int
    step: str
    seconds: float
    cpu: float
    together: float
    largest: float


def draw(source: Path, images: int) -> None:
    """Write `images` bins: distinct noise with counts of 0 to 5; one in `COPIES` is a copy."""
    done = source / "drawn"
    if done.exists():
        return
    for name in ("bin-images", "metadata"):
        (source / name).mkdir(parents=True, exist_ok=True)
    chunks = [(source, start, min(start + _CHUNK, images)) for start in range(0, images, _CHUNK)]
    with Pool() as pool:
        for _ in pool.imap_unordered(_draw_chunk, chunks):
            pass
    done.touch()


def _draw_chunk(chunk: tuple[Path, int, int]) -> None:
    source, start, stop = chunk
    noise = np.random.default_rng(start).integers(0, 256, (stop - start, EDGE, EDGE, 3), np.uint8)
    for index in range(start, stop):
        is_copy = index % COPIES == 1
        buffer = io.BytesIO()
        pixels = noise[index - start - is_copy]
        Image.fromarray(pixels).save(buffer, "JPEG", quality=95 if is_copy else 85)
        (source / "bin-images" / f"{index:06d}.jpg").write_bytes(buffer.getvalue())
        # A bin and its copy agree about their count.
        count = (index - is_copy) % 6
        items = {"B0": {"quantity": count}} if count else {}
        content = {"BIN_FCSKU_DATA": items, "EXPECTED_QUANTITY": count}
        (source / "metadata" / f"{index:06d}.json").write_text(json.dumps(content))


def measure(step: str, images: int, work: Path) -> Measurement:
    """Run one step on the images drawn under `work`."""
    python = ROOT / ".venvs" / ENVIRONMENTS.get(step, "data") / "bin" / "python"
    code = f"from pathlib import Path\nimages, work = {images}, Path({str(work)!r})\n{STEPS[step]}"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = (work / f"{step}.log").open("w")
    start = time.monotonic()
    process = subprocess.Popen([python, "-c", code], env=env, stdout=log, stderr=log)
    peak = [0.0]
    ended = threading.Event()
    sampler = threading.Thread(target=_sample, args=(process.pid, peak, ended))
    sampler.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    ended.set()
    sampler.join()
    log.close()
    if status:
        sys.exit(f"{step} failed on {images:,} images; see {log.name}")
    cpu = usage.ru_utime + usage.ru_stime
    return Measurement(images, step, seconds, cpu, peak[0], usage.ru_maxrss / 1024)


def _sample(pid: int, peak: list[float], ended: threading.Event) -> None:
    while not ended.wait(_SAMPLE_S):
        peak[0] = max(peak[0], sum(map(_proportional_mib, _tree(pid))))


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield pid
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [child for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended
        return
    for child in children:
        yield from _tree(int(child))


def _proportional_mib(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = [line.split() for line in text.splitlines() if line.startswith("Pss:")]
    return int(found[0][1]) / 1024 if found else 0.0


def table(found: Sequence[Measurement]) -> str:
    """Return the measurements as a Markdown table."""
    base = {one.step: one for one in found if one.images == BASE}
    lines = [
        "| images | step | seconds | images/s | CPU ms/image | peak MiB | x of 50,000 "
        "| largest MiB | x of 50,000 |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in found:
        ratios = ["", ""]
        if one.step in base:
            ratios = [
                f"{one.together / base[one.step].together:.2f}",
                f"{one.largest / base[one.step].largest:.2f}",
            ]
        lines.append(
            f"| {one.images:,} | {one.step} | {one.seconds:.1f} | {one.images / one.seconds:,.0f} "
            f"| {one.cpu * 1000 / one.images:.2f} | {one.together:.0f} | {ratios[0]} "
            f"| {one.largest:.0f} | {ratios[1]} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what was asked for; keep what was measured before in `<work>/measured.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[5_000, 50_000, 500_000])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--work", type=Path, required=True, help="folder for images and results")
    options = parser.parse_args()
    kept = options.work / "measured.json"
    found = {
        (one["images"], one["step"]): Measurement(**one)
        for one in (json.loads(kept.read_text()) if kept.exists() else [])
    }
    for images in options.images:
        work = options.work / str(images)
        draw(work / "source", images)
        for step in options.steps:
            found[images, step] = measure(step, images, work)
            print(found[images, step], flush=True)
            kept.write_text(json.dumps([asdict(one) for one in found.values()]))
    order = list(STEPS)
    print(table(sorted(found.values(), key=lambda one: (one.images, order.index(one.step)))))


if __name__ == "__main__":
    main()
