"""Contestants that make RecordIO, or do the least that making it needs.

Each reads what `tests.benchmarks.drawn` wrote in `folder` and writes to `folder/out-<name>`.
Packages are imported where they are used: not every environment has them all.
"""

import io
import os
import runpy
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from multiprocessing import Pool
from pathlib import Path

from tests.benchmarks.worker import Contestant

CORES = len(os.sched_getaffinity(0))


def ours(folder: str, resize: int | None = None) -> Contestant:
    """The im2rec step, from shards: table, records, indices, lists, fingerprint and all."""
    from components.im2rec.config import Im2RecSection
    from components.im2rec.im2rec import im2rec

    root, out = Path(folder), Path(folder, "out-ours")
    images, augmented, table = (root / name for name in ("images", "augmented", "table"))

    def run() -> int:
        section = Im2RecSection(resize=resize)
        counts = im2rec(section, "classify", images, augmented, table, out)
        return sum(counts.values())

    packages = ("pyarrow", "numpy", "simplejpeg", "opencv-python-headless")
    return Contestant(run, _versions(*packages), partial(shutil.rmtree, out, ignore_errors=True))


def ours_from_files(folder: str) -> Contestant:
    """Files into shards, as ingest writes them but unchecked, then the im2rec step.

    A thread a core makes shards, each with names of its own, as ingest's processes do.
    """
    from components.im2rec.config import Im2RecSection
    from components.im2rec.im2rec import im2rec
    from components.shared.shards import ShardWriter

    root, out = Path(folder), Path(folder, "out-files")
    files = _files(root)
    images, augmented, table = out / "images", root / "augmented", root / "table"

    def write_shards(number: int) -> None:
        with ShardWriter(images, f"images-{number}") as shards:
            for name, path in files[number::CORES]:
                shards.add(name, path.read_bytes())

    def run() -> int:
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(write_shards, range(CORES)))
        counts = im2rec(Im2RecSection(), "classify", images, augmented, table, out / "records")
        return sum(counts.values())

    before = partial(shutil.rmtree, out, ignore_errors=True)
    return Contestant(run, _versions("pyarrow", "numpy"), before)


def mxnet(folder: str, options: list[str]) -> Contestant:
    """MXNet's own im2rec, from files, with a process a core; mxnet is imported already."""
    import mxnet as package

    script = Path(package.__file__).with_name("tools") / "im2rec.py"
    root, out = Path(folder), Path(folder, "out-mxnet")
    prefix = out / "data.lst"  # the list itself: a prefix would match a folder's name too

    def before() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        shutil.copy(root / "files.lst", prefix)

    def run() -> int:
        threads = ["--num-thread", str(CORES)]
        sys.argv = [str(script), str(prefix), str(root / "files"), *threads, *options]
        runpy.run_path(str(script), run_name="__main__")
        return len((out / "data.idx").read_text().splitlines())

    return Contestant(run, _versions("mxnet", "opencv-python-headless"), before)


def copied_files(folder: str) -> Contestant:
    """The limit from files: each is read and appended to one file."""
    root, out = Path(folder), Path(folder, "out-copied-files")
    files = _files(root)

    def run() -> int:
        with out.open("wb", buffering=1 << 18) as whole:
            for _, path in files:
                whole.write(path.read_bytes())
        return len(files)

    return Contestant(run, {}, partial(out.unlink, missing_ok=True))


def copied_shards(folder: str) -> Contestant:
    """The limit from shards: they are copied."""
    root, out = Path(folder), Path(folder, "out-copied-shards")
    images = len(_files(root))

    def run() -> int:
        shutil.copytree(root / "images", out)
        return images

    return Contestant(run, {}, partial(shutil.rmtree, out, ignore_errors=True))


def opencv(folder: str, edge: int) -> Contestant:
    """OpenCV in a process a core: whole decode, its default resizing, quality 95, not written."""
    return _pooled(folder, partial(_by_opencv, edge=edge), "opencv-python-headless")


def pillow(folder: str, edge: int) -> Contestant:
    """The plain Pillow loop in a process a core: open, resize, save at quality 95."""
    return _pooled(folder, partial(_by_pillow, edge=edge), "pillow")


def _pooled(folder: str, work: Callable[[Path], int], package: str) -> Contestant:
    files = [path for _, path in _files(Path(folder))]
    pool = Pool(CORES)

    def run() -> int:
        sizes = pool.map(work, files, chunksize=8)
        assert all(sizes)
        return len(sizes)

    return Contestant(run, _versions(package))


def _by_opencv(path: Path, edge: int) -> int:
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    scale = edge / min(pixels.shape[:2])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return len(cv2.imencode(".jpg", cv2.resize(pixels, size), [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


def _by_pillow(path: Path, edge: int) -> int:
    from PIL import Image  # type: ignore[import-not-found, unused-ignore]

    image = Image.open(io.BytesIO(path.read_bytes())).convert("RGB")
    scale = edge / min(image.size)
    buffer = io.BytesIO()
    size = (round(image.width * scale), round(image.height * scale))
    image.resize(size).save(buffer, "JPEG", quality=95)
    return len(buffer.getvalue())


def _files(root: Path) -> list[tuple[str, Path]]:
    """Name and path of each file, in the list's order."""
    lines = (root / "files.lst").read_text().splitlines()
    paths = [root / "files" / line.rpartition("\t")[2] for line in lines]
    return [(path.stem, path) for path in paths]


def _versions(*packages: str) -> dict[str, str]:
    return {name: version(name) for name in packages}
