"""Small fingerprints of images, made in parallel: a perceptual hash and a thumbnail."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import imagehash
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from components.shared.hashing import hash64
from components.shared.images_io import UnreadableImageError, open_reduced
from components.shared.parallel import map_chunks, worker_count
from components.shared.progress import progress
from components.shared.shards import shard_paths

EDGE: Final = 32  # pixels of a thumbnail's edge; also the size the perceptual hash works on
_DRAFT: Final = 2 * EDGE  # a JPEG decoded to at least this size loses nothing a thumbnail shows

Part = tuple[Path, int]  # a shard and one of its row groups


@dataclass(frozen=True)
class Fingerprints:
    """The fingerprints of some images, in the shards' order.

    Attributes:
        keys: (n,) uint64, `hash64` of each image's id.
        hashes: (n,) uint64, 64-bit perceptual hash.
        digests: (n,) uint64, digest of the thumbnail's pixels.
        thumbnails: (n, EDGE, EDGE) uint8, grayscale.
        readable: (n,) bool; where False the other entries mean nothing.
    """

    keys: NDArray[np.uint64]
    hashes: NDArray[np.uint64]
    digests: NDArray[np.uint64]
    thumbnails: NDArray[np.uint8]
    readable: NDArray[np.bool_]


def gray_thumbnail(data: bytes) -> NDArray[np.uint8]:
    """Decode an image to grayscale, EXIF orientation applied, squeezed to EDGE x EDGE.

    Raises:
        UnreadableImageError: if it does not decode.
    """
    image = open_reduced(data, _DRAFT, "L")
    return np.asarray(image.resize((EDGE, EDGE), Image.Resampling.LANCZOS), np.uint8)


def perceptual_hash(thumbnail: NDArray[np.uint8]) -> int:
    """Return the 64-bit DCT hash of a thumbnail (Zauner 2010, as `imagehash.phash`)."""
    bits = imagehash.phash(Image.fromarray(thumbnail)).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def fingerprint_shards(folder: Path, workers: int = 0) -> Iterator[Fingerprints]:
    """Yield fingerprints of all images of a folder of shards, in the shards' order.

    Args:
        folder: the shards.
        workers: processes; 0: one a core. A small folder is read in this process.
    """
    parts = [
        (path, group)
        for path in shard_paths(folder)
        for group in range(pq.ParquetFile(path).num_row_groups)
    ]
    label = "looking for near-duplicates, 8 MiB a part"
    found = map_chunks(_fingerprint_part, parts, min(worker_count(workers), len(parts)))
    yield from progress(found, len(parts), label)


def _fingerprint_part(part: Part) -> Fingerprints:
    """Fingerprint one row group of one shard."""
    path, group = part
    rows = pq.ParquetFile(path).read_row_group(group, use_threads=False)
    count = rows.num_rows
    found = Fingerprints(
        keys=np.fromiter((hash64(one.as_py()) for one in rows["image_id"]), np.uint64, count),
        hashes=np.zeros(count, np.uint64),
        digests=np.zeros(count, np.uint64),
        thumbnails=np.zeros((count, EDGE, EDGE), np.uint8),
        readable=np.zeros(count, np.bool_),
    )
    for index, data in enumerate(rows["bytes"]):
        try:
            thumbnail = gray_thumbnail(data.as_py())
        except UnreadableImageError:
            continue
        found.thumbnails[index] = thumbnail
        found.hashes[index] = perceptual_hash(thumbnail)
        digest = blake2b(thumbnail.tobytes(), digest_size=8).digest()
        found.digests[index] = int.from_bytes(digest, "big")
        found.readable[index] = True
    return found
