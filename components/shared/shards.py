"""Image bytes between steps: Parquet shards of (image_id, bytes), encoded bytes untouched.

Artifact stores are slow at many small objects, so images never travel as a tree of files.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.shared.closing import Closing

SHARD_BYTES = 256 * 1024 * 1024  # the upper bound of a shard's image bytes
_GROUP_BYTES = 8 * 1024 * 1024  # a row group: what a reader holds in memory at a time
SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("bytes", pa.binary(), nullable=False),
    ],
    metadata={"sightline.version": "1"},
)


class ShardWriter(Closing):
    """Write `<prefix>-00000.parquet`, `-00001`, … into a folder, each at most `shard_bytes`.

    Use as a context manager. One writer is for one process; parallel writers take prefixes
    of their own.
    """

    def __init__(
        self, folder: Path, prefix: str = "images", shard_bytes: int = SHARD_BYTES
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._prefix = prefix
        self._limit = shard_bytes
        self._writer: pq.ParquetWriter | None = None
        self._shards = 0
        self._written = 0
        self._ids: list[str] = []
        self._data: list[bytes] = []
        self._pending = 0

    def add(self, image_id: str, data: bytes) -> None:
        """Append one image's encoded bytes."""
        if self._written + self._pending + len(data) > self._limit and (
            self._written or self._pending
        ):
            self.close()
        self._ids.append(image_id)
        self._data.append(data)
        self._pending += len(data)
        if self._pending >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Finish the open shard; a further `add` opens the next."""
        self._flush()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._written = 0

    def _flush(self) -> None:
        if not self._ids:
            return
        if self._writer is None:
            path = self._folder / f"{self._prefix}-{self._shards:05d}.parquet"
            # Images are compressed already and ids are unique: more effort buys nothing.
            self._writer = pq.ParquetWriter(
                path,
                SCHEMA,
                compression="none",
                use_dictionary=False,
                write_statistics=["image_id"],  # of encoded bytes they take as long as the writing
            )
            self._shards += 1
        columns = [pa.array(self._ids, pa.string()), pa.array(self._data, pa.binary())]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))
        self._written += self._pending
        self._ids, self._data, self._pending = [], [], 0


def shard_paths(folder: Path) -> list[Path]:
    """Return a folder's shards in name order."""
    return sorted(folder.glob("*.parquet"))


def iter_images(folder: Path, only: Collection[str] | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield `(image_id, encoded bytes)` of all shards, one row group in memory at a time."""
    for path in shard_paths(folder):
        yield from iter_shard(path, only)


def iter_shard(path: Path, only: Collection[str] | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield `(image_id, encoded bytes)` of one shard; `only` keeps the ids it holds."""
    file = pq.ParquetFile(path)
    for index in range(file.num_row_groups):
        if only is not None:  # a few images of many: most groups' bytes need not be read
            names = file.read_row_group(index, columns=["image_id"], use_threads=False)["image_id"]
            if not any(name in only for name in names.to_pylist()):
                continue
        # In one thread: the bytes are only copied, and threads keep the memory they have used.
        group = file.read_row_group(index, use_threads=False)
        if only is None:
            yield from zip(group["image_id"].to_pylist(), group["bytes"].to_pylist(), strict=True)
            continue
        for image_id, data in zip(group["image_id"].to_pylist(), group["bytes"], strict=True):
            if image_id in only:
                yield image_id, data.as_py()


def read_images(folder: Path, ids: Collection[str]) -> dict[str, bytes]:
    """Return the bytes of a few images by id (for galleries and smoke tests)."""
    wanted = set(ids)
    return dict(iter_images(folder, wanted)) if wanted else {}
