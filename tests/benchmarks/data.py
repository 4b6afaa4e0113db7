"""im2rec and the training read path against their peers: `make bench-data`.

Prints Markdown tables; what is going on goes to standard error. See docs/benchmarks.md.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.benchmarks.alternate import ROOT, Entry, Goal, compare

# Width, height, size of patches and noise: about 15 kB and 210 kB as JPEG of quality 90.
SMALL: Final = (300, 200, 16, 4.0)
LARGE: Final = (1280, 960, 24, 1.0)
PACKING, READING = "tests.benchmarks.packing", "tests.benchmarks.reading"
FEWEST_PHOTOS: Final = 70
PARTS: Final = ("pass", "resize", "read", "open")


def main() -> None:
    """Draw the data, run the parts asked for."""
    options = _options()
    print(f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {time.strftime('%Y-%m-%d')}")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-data-") as name:
        folder = Path(name)
        if "pass" in options.parts:
            _pass_through(_drawn(folder / "many", options.images, SMALL), options.rounds)
        if "resize" in options.parts:
            _resize(_drawn(folder / "photos", options.photos, LARGE), options.rounds)
        if "read" in options.parts:
            for size, images in ((SMALL, options.photos * 10), (LARGE, options.photos)):
                drawn = _drawn(folder / f"{size[0]}x{size[1]}", images, size)
                _read(drawn, f"{size[0]}x{size[1]}", options.rounds)
        if "open" in options.parts:
            _open(folder / "open", options.lines, options.rounds)


def _pass_through(folder: str, rounds: int) -> None:
    entries = [
        Entry("MXNet im2rec, from files", "recordio", f"{PACKING}:mxnet",
              {"folder": folder, "options": ["--pass-through"]}),
        Entry("ours, from files", "recordio", f"{PACKING}:ours_from_files", {"folder": folder}),
        Entry("ours, from shards", "recordio", f"{PACKING}:ours", {"folder": folder}),
        Entry("files copied into one", "recordio", f"{PACKING}:copied_files", {"folder": folder}),
        Entry("shards copied", "recordio", f"{PACKING}:copied_shards", {"folder": folder}),
    ]  # fmt: skip
    goals = [
        Goal("ours, from files", "MXNet im2rec, from files", 1.6),
        Goal("ours, from files", "files copied into one", 0.65),
        Goal("ours, from shards", "MXNet im2rec, from files", 3.0),
        Goal("ours, from shards", "shards copied", 0.6),
    ]
    compare("im2rec, pass-through", entries, goals, rounds)


def _resize(folder: str, rounds: int) -> None:
    entries = [
        Entry("MXNet im2rec", "recordio", f"{PACKING}:mxnet",
              {"folder": folder, "options": ["--resize", "256"]}),
        Entry("ours", "recordio", f"{PACKING}:ours", {"folder": folder, "resize": 256}),
        Entry("OpenCV, a process a core", "recordio", f"{PACKING}:opencv",
              {"folder": folder, "edge": 256}),
        Entry("Pillow, a process a core", "trainer", f"{PACKING}:pillow",
              {"folder": folder, "edge": 256}),
    ]  # fmt: skip
    goals = [
        Goal("ours", "MXNet im2rec", 2.0),
        Goal("ours", "OpenCV, a process a core", 0.95),
        Goal("ours", "Pillow, a process a core", 2.0),
    ]
    compare("im2rec, shorter edge to 256, quality 95", entries, goals, rounds)


def _read(folder: str, size: str, rounds: int) -> None:
    entries = [
        Entry("our records", "trainer", f"{READING}:ours", {"folder": folder}),
        Entry("the train step", "trainer", f"{READING}:train_step", {"folder": folder}),
        Entry("torchvision ImageFolder", "trainer", f"{READING}:torchvision", {"folder": folder}),
        Entry("MXNet ImageRecordIter", "recordio", f"{READING}:mxnet", {"folder": folder}),
        Entry("decoding alone", "trainer", f"{READING}:decoding", {"folder": folder}),
    ]
    goals = [
        Goal(ours, theirs, at_least)
        for ours in ("our records", "the train step")
        for theirs, at_least in (
            ("torchvision ImageFolder", 1.8),
            ("MXNet ImageRecordIter", 2.0),
            ("decoding alone", 0.45 if size == f"{SMALL[0]}x{SMALL[1]}" else 0.7),
        )
    ]
    compare(f"training read path, {size}", entries, goals, rounds)


def _open(folder: Path, lines: int, rounds: int) -> None:
    size = lines * 15_000
    about = {"folder": str(folder), "records": lines, "size": size}
    entries = [
        Entry("ours", "recordio", f"{READING}:opening", about),
        Entry("MXNet", "recordio", f"{READING}:opening_mxnet", {"folder": str(folder)}),
    ]
    title = f"opening a set of {lines:,} records, {size / 1e9:.0f} GB (sets, not images, a second)"
    compare(title, entries, [Goal("ours", "MXNet", 1.0)], rounds)


def _drawn(folder: Path, images: int, size: tuple[int, int, int, float]) -> str:
    width, height, block, noise = size
    options = {"images": images, "width": width, "height": height, "block": block, "noise": noise}
    python = ROOT / ".venvs" / "recordio" / "bin" / "python"
    given = [f"--{name}={value}" for name, value in options.items()]
    program = [str(python), "-m", "tests.benchmarks.drawn", str(folder), *given]
    subprocess.run(program, cwd=ROOT, check=True, stdout=sys.stderr)
    return str(folder)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    named = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60_000, help="small JPEGs to pass through")
    parser.add_argument("--photos", type=int, default=1200, help="large ones; to read, small x 10")
    parser.add_argument("--lines", type=int, default=3_500_000, help="records of the set to open")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, help="where the data goes, 6 GB; removed at the end")
    options = parser.parse_args()
    if options.photos < FEWEST_PHOTOS:
        parser.error(f"--photos: at least {FEWEST_PHOTOS}, since they are read in whole batches")
    return options


if __name__ == "__main__":
    main()
