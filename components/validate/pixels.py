"""Brightness and contrast of a seeded sample of images."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from components.shared.images_io import PILLOW_LIMIT, UnreadableImageError, open_image
from components.shared.parallel import chunked, map_chunks, worker_count
from components.shared.progress import progress
from components.shared.shards import iter_images
from components.validate.facts import batches

_EDGE: Final = 256  # longest edge, pixels, at which pixels are measured


def sample_ids(table: Path, number: int, seed: int) -> set[str]:
    """Return up to `number` ids, the same for a seed in whatever order the rows come.

    The images of a smaller sample are among those of a larger one.
    """
    names = np.empty(0, object)
    ranks = np.empty(0, np.uint64)
    for batch in batches(table, ["image_id"]):
        found = batch["image_id"].to_numpy(zero_copy_only=False)
        names = np.concatenate([names, found])
        ranks = np.concatenate([ranks, _ranks(found, seed)])
        kept = np.argsort(ranks, kind="stable")[:number]
        names, ranks = names[kept], ranks[kept]
    return set(names.tolist())


def _ranks(names: NDArray[np.object_], seed: int) -> NDArray[np.uint64]:
    """Return a number for each name: a SipHash with the seed as its key."""
    key = f"{seed:016x}"[-16:]
    ranks: NDArray[np.uint64] = pd.util.hash_array(names, hash_key=key, categorize=False)
    return ranks


def measure_pixels(images: Path, ids: Collection[str]) -> NDArray[np.float64]:
    """Return (n, 2) brightness (mean luma, 0 to 1) and contrast (its standard deviation, 0 to 0.5).

    Luma is Y' of ITU-R BT.601, measured on a reduced copy. Images that do not decode are left
    out.

    Args:
        images: the folder of shards.
        ids: the images to measure.
    """
    found = iter_images(images, ids)
    chunks = chunked(progress(found, len(ids), "measuring pixels"), lambda item: len(item[1]))
    measured = [values for part in map_chunks(_measure, chunks, worker_count(0)) for values in part]
    return np.array(measured, np.float64).reshape(-1, 2)


def _measure(chunk: list[tuple[str, bytes]]) -> list[tuple[float, float]]:
    found = []
    for _, data in chunk:
        try:
            image = open_image(data, PILLOW_LIMIT).convert("L")
        except UnreadableImageError:
            continue
        image.thumbnail((_EDGE, _EDGE), Image.Resampling.BOX)
        luma = np.asarray(image, np.float64) / 255
        found.append((round(float(luma.mean()), 6), round(float(luma.std()), 6)))
    return found
