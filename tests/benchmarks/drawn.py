"""Drawn photographs in every form that the contestants read, in an environment with OpenCV."""

import argparse
import shutil
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from components.im2rec.config import Im2RecSection
from components.im2rec.im2rec import im2rec
from components.shared.shards import ShardWriter
from components.shared.table import TableInfo, write_rows

CLASSES: Final = 6
_DISTINCT: Final = 64
_FOLDER: Final = 1000  # images in a folder


def draw(folder: Path, images: int, width: int, height: int, block: int, noise: float) -> None:
    """Write `files/`, `files.lst`, `images/`, `augmented/`, `table` and `records/`.

    Args:
        folder: for all of it.
        images: how many; `_DISTINCT` of them differ.
        width: pixels.
        height: pixels.
        block: pixels of the coloured patches, which are blurred into each other.
        noise: standard deviation, of 255.
    """
    shutil.rmtree(folder, ignore_errors=True)
    pictures = _pictures(width, height, block, noise)
    size = sum(map(len, pictures)) / len(pictures)
    print(f"{images:,} JPEGs of {width}x{height}, {size / 1000:.1f} kB in the mean")
    (folder / "augmented").mkdir(parents=True)
    rows = []
    with ShardWriter(folder / "images") as shards, (folder / "files.lst").open("w") as lines:
        for number in range(images):
            name, label = f"{number:07d}", number % CLASSES
            path = Path(f"{number // _FOLDER % CLASSES}", f"{name}.jpg")
            (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "files" / path).write_bytes(pictures[number % _DISTINCT])
            shards.add(name, pictures[number % _DISTINCT])
            lines.write(f"{number}\t{label}\t{path}\n")
            rows.append(_row(number, name, label, width, height))
    info = TableInfo("classify", tuple(f"class {number}" for number in range(CLASSES)))
    write_rows(folder / "table", rows, info)
    paths = [folder / name for name in ("images", "augmented", "table", "records")]
    im2rec(Im2RecSection(), "classify", *paths)


def _pictures(width: int, height: int, block: int, noise: float) -> list[bytes]:
    chance = np.random.default_rng(0)
    pictures = []
    for _ in range(_DISTINCT):
        patches = chance.integers(0, 255, (height // block + 1, width // block + 1, 3), np.uint8)
        pixels = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
        noisy = pixels.astype(np.float32) + chance.normal(0, noise, pixels.shape)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
        encoded = cv2.imencode(".jpg", np.clip(noisy, 0, 255).astype(np.uint8), quality)[1]
        pictures.append(encoded.tobytes())
    return pictures


def _row(number: int, name: str, label: int, width: int, height: int) -> dict[str, object]:
    return {
        "image_id": name, "sha256": f"{number:064x}", "width": width, "height": height,
        "format": "jpeg", "group": name, "split": {0: "val", 1: "test"}.get(number, "train"),
        "label": label, "count": None, "boxes": None, "source": name, "attributes": None,
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for option, kind in (("images", int), ("width", int), ("height", int), ("block", int)):
        parser.add_argument(f"--{option}", type=kind, required=True)
    parser.add_argument("--noise", type=float, required=True)
    draw(**vars(parser.parse_args()))
