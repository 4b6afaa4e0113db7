"""Pictures and pixel statistics of a few chosen images, read in processes."""

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageChops

from components.shared.images_io import UnreadableImageError, open_reduced
from components.shared.parallel import map_chunks, worker_count
from components.shared.progress import progress
from components.shared.shards import shard_paths

MEASURED: Final = 256  # longest edge, pixels, at which images are measured
_TOGETHER: Final = 32  # images that a process is given at a time
_COLOURLESS: Final = 4  # gray levels that the channels of a gray picture may differ by

Result = TypeVar("Result")


@dataclass(frozen=True)
class Measures:
    """What the pixels of an image say, measured on a picture of at most MEASURED pixels.

    Attributes:
        brightness: mean luma, 0 to 1.
        contrast: standard deviation of the luma, 0 to 0.5.
        darkest: smallest channel value, 0 to 255.
        brightest: largest channel value, 0 to 255.
        mean: (3,) of red, green and blue, 0 to 1.
        square: (3,) mean square of red, green and blue, 0 to 1.
        colourless: whether red, green and blue are (nearly) equal everywhere.
    """

    brightness: float
    contrast: float
    darkest: int
    brightest: int
    mean: NDArray[np.float64]
    square: NDArray[np.float64]
    colourless: bool


def reduced(data: bytes, edge: int) -> Image.Image:
    """Decode an image to RGB with a longest edge of at most `edge`, EXIF orientation applied.

    JPEGs are decoded at a fraction of their size, at least twice the size asked for; that is
    several times faster and leaves no trace in the result.

    Raises:
        UnreadableImageError: if it does not decode.
    """
    picture = open_reduced(data, 2 * edge)
    picture.thumbnail((edge, edge), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return picture


def measure(image: Image.Image) -> Measures:
    """Return what the pixels of an RGB image say."""
    levels = np.arange(256) / 255
    channels = np.array(image.histogram(), float).reshape(3, 256)  # of red, green and blue
    luma = np.array(image.convert("L").histogram(), float)  # ITU-R BT.601
    pixels = image.width * image.height
    brightness = float(luma @ levels) / pixels
    present = np.flatnonzero(channels.any(axis=0))
    return Measures(
        brightness,
        math.sqrt(max(float(luma @ levels**2) / pixels - brightness**2, 0)),
        int(present[0]),
        int(present[-1]),
        channels @ levels / pixels,
        channels @ levels**2 / pixels,
        _colourless(image),
    )


def _colourless(image: Image.Image) -> bool:
    red, green, blue = image.split()
    pairs = ((red, green), (green, blue), (red, blue))
    highest = (ImageChops.difference(*pair).getextrema()[1] for pair in pairs)
    return all(cast("int", one) <= _COLOURLESS for one in highest)


def measure_images(folder: Path, ids: Collection[str], workers: int) -> dict[str, Measures | None]:
    """Return the measures of images by id; None of those that do not decode."""
    return dict(_each(folder, ids, _measured, workers, "measuring pixels"))


def load_pictures(
    folder: Path, ids: Collection[str], edge: int, workers: int
) -> dict[str, Image.Image | None]:
    """Return small RGB pictures by id; None of those that do not decode.

    Args:
        folder: the shards.
        ids: of the images; those that are in no shard are left out.
        edge: longest edge of a picture, in pixels.
        workers: processes; 0: one a core.
    """
    return dict(_each(folder, ids, partial(reduced, edge=edge), workers, "drawing pictures"))


def _measured(data: bytes) -> Measures:
    return measure(reduced(data, MEASURED))


@dataclass(frozen=True)
class _Part:
    """Images to take from one row group of a shard."""

    path: Path
    group: int
    ids: list[str]
    places: list[int]


def _each(
    folder: Path,
    ids: Collection[str],
    function: Callable[[bytes], Result],
    workers: int,
    label: str,
) -> Iterator[tuple[str, Result | None]]:
    """Yield `function(bytes)` of each image; row groups without any of them are not read."""
    parts = _parts(folder, ids)
    results = map_chunks(partial(_apply, function), parts, worker_count(workers))
    yield from progress((one for found in results for one in found), len(ids), label)


def _parts(folder: Path, ids: Collection[str]) -> Iterator[_Part]:
    wanted = pa.array(list(ids), pa.string())
    for path in shard_paths(folder):
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            names = file.read_row_group(group, columns=["image_id"])["image_id"]
            places = np.flatnonzero(pc.is_in(names, wanted).to_numpy())
            for start in range(0, places.size, _TOGETHER):
                some = places[start : start + _TOGETHER]
                yield _Part(path, group, names.take(some).to_pylist(), some.tolist())


def _apply(function: Callable[[bytes], Result], part: _Part) -> list[tuple[str, Result | None]]:
    column = pq.ParquetFile(part.path).read_row_group(part.group, columns=["bytes"])["bytes"]
    found: list[tuple[str, Result | None]] = []
    for image_id, place in zip(part.ids, part.places, strict=True):
        try:
            found.append((image_id, function(column[place].as_py())))
        except UnreadableImageError:
            found.append((image_id, None))
    return found
