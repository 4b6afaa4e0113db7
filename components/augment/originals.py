"""The training images: their rows by id, and a few of them in memory."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from components.augment.rows import Row, Stored, read_some
from components.shared.errors import UserError


class Originals:
    """The training rows by image id, compact: as many fit in memory as a table may have."""

    def __init__(self, table: Path) -> None:
        train = pq.read_table(table, filters=[("split", "=", "train")])
        self._rows = train.combine_chunks()
        self._places = {name: n for n, name in enumerate(train["image_id"].to_pylist())}
        self._waiting = set(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def row(self, image_id: str) -> Row:
        """Return an image's row, its attributes as a dict."""
        row: Row = self._rows.slice(self._places[image_id], 1).to_pylist()[0]
        return {**row, "attributes": dict(row["attributes"] or {})}

    def take(self, image_id: str) -> Row:
        """Return a row, which may be asked for once.

        Raises:
            UserError: if it was taken before.
        """
        if image_id not in self._waiting:
            raise UserError(f"image '{image_id}': twice in the shards; run ingest again")
        self._waiting.remove(image_id)
        return self.row(image_id)

    def check_all_found(self, images: Path) -> None:
        """Raise UserError if there are rows that were never taken."""
        if self._waiting:
            raise UserError(
                f"{images}: {len(self._waiting):,} training images are in no shard, e.g. "
                f"{', '.join(sorted(self._waiting)[:5])}; run ingest again"
            )

    def sample(self, images: Path, number: int, seed: int, purpose: str) -> list[Stored]:
        """Return up to `number` images that depend on the ids and the seed, not on any order.

        Args:
            images: shards.
            number: of images, all held in memory.
            seed: decides which.
            purpose: gives samples of their own to those with the same seed.
        """

        def rank(image_id: str) -> bytes:
            return hashlib.sha256(f"{purpose}/{seed}/{image_id}".encode()).digest()

        chosen = sorted(self._places, key=rank)[:number]
        found = dict(read_some(images, set(chosen)))
        return [(self.row(name), found[name]) for name in chosen if name in found]
