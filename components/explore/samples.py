"""A seeded sample of images, with what their pixels say."""

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from components.shared.images_io import PILLOW_LIMIT, UnreadableImageError, open_image
from components.shared.progress import progress
from components.shared.report import thumbnail
from components.shared.shards import shard_paths
from components.shared.table import iter_rows

_MEASURED: Final = 256  # longest edge, pixels, at which brightness and contrast are measured
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Sample:
    """A sampled image.

    Attributes:
        row: its row in the table.
        image: RGB, its longest edge at most the report's thumbnail.
        brightness: mean luma, 0 to 1.
        contrast: standard deviation of the luma, 0 to 0.5.
        darkest: smallest channel value, 0 to 255.
        brightest: largest channel value, 0 to 255.
    """

    row: dict[str, Any]
    image: Image.Image
    brightness: float
    contrast: float
    darkest: int
    brightest: int


def draw_samples(table: Path, images: Path, number: int, seed: int, edge: int) -> list[Sample]:
    """Return up to `number` images, the same for a seed in whatever order the rows come.

    Images that do not decode are left out.

    Args:
        table: the image table.
        images: the shards.
        number: images to draw.
        seed: decides which.
        edge: longest edge of the pictures kept, in pixels.
    """
    salt = seed.to_bytes(8, "big", signed=True)
    columns = ["image_id", "label", "count", "boxes", "width", "height"]
    ranked = heapq.nsmallest(
        number,
        ((_rank(row["image_id"], salt), row["image_id"], row) for row in iter_rows(table, columns)),
    )
    rows = {image_id: row for _, image_id, row in ranked}
    found: dict[str, Sample] = {}
    for image_id, data in progress(_bytes_of(images, rows), len(rows), "sampling images"):
        try:
            found[image_id] = _measure(rows[image_id], open_image(data, PILLOW_LIMIT), edge)
        except UnreadableImageError:
            continue
    return [found[image_id] for _, image_id, _ in ranked if image_id in found]


def _rank(image_id: str, salt: bytes) -> bytes:
    return blake2b(image_id.encode(), digest_size=16, salt=salt).digest()


def _bytes_of(folder: Path, ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the bytes of a few images; row groups that hold none of them are not read."""
    for path in shard_paths(folder):
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            names = file.read_row_group(group, columns=["image_id"])["image_id"].to_pylist()
            if not any(name in ids for name in names):
                continue
            data = file.read_row_group(group, columns=["bytes"])["bytes"]
            for index, name in enumerate(names):
                if name in ids:
                    yield name, data[index].as_py()


def _measure(row: dict[str, Any], image: Image.Image, edge: int) -> Sample:
    pixels = np.asarray(thumbnail(image, _MEASURED), np.float32)
    luma = pixels @ _LUMA / 255
    return Sample(
        row,
        thumbnail(image, edge),
        float(luma.mean()),
        float(luma.std()),
        int(pixels.min()),
        int(pixels.max()),
    )
