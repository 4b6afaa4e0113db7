"""Images with equal bytes: kept as one group where their labels agree, set aside where not."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.shared.closing import Closing
from components.shared.table import iter_batches

_SCHEMA: Final = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
CREATE TABLE equal (sha256 TEXT, image_id TEXT, path TEXT, label TEXT);
"""
# Of equal images the first lends the group its name. It is named to those with another label
# than its own; `other`, the first of these, is named to those with the same. (Beside MIN, SQLite
# takes a plain column from the row that has the minimum.)
_SUM_UP: Final = """
CREATE INDEX by_sha256 ON equal (sha256);
CREATE TABLE sets AS
  SELECT sha256, MIN(image_id) AS first, label AS first_label, COUNT(DISTINCT label) AS labels
  FROM equal GROUP BY sha256 HAVING COUNT(*) > 1;
CREATE UNIQUE INDEX by_set ON sets (sha256);
CREATE TABLE others AS
  SELECT sha256, MIN(image_id) AS other FROM equal JOIN sets USING (sha256)
  WHERE label != first_label GROUP BY sha256;
CREATE UNIQUE INDEX by_other ON others (sha256);
CREATE TABLE members AS
  SELECT image_id, path, label, first, labels,
         CASE WHEN label = first_label THEN other ELSE first END AS contrary
  FROM equal JOIN sets USING (sha256) LEFT JOIN others USING (sha256);
CREATE UNIQUE INDEX by_id ON members (image_id);
"""
_LABELS: Final = ("label", "count", "boxes")


class EqualImages(Closing):
    """The images of some tables that share their bytes with another; a context manager.

    Memory holds 8 bytes for each image; the images themselves are in a scratch database.

    Attributes:
        dropped: how many are set aside, because equal images have different labels.
    """

    def __init__(self, tables: Sequence[Path], scratch: Path, classes: Sequence[str]) -> None:
        """Look for equal images.

        Args:
            tables: image tables; no image id is in two of them.
            scratch: path of the database to make.
            classes: names of the labels.
        """
        self._classes = classes
        self._keys = _repeated(tables)
        self._db = sqlite3.connect(scratch, isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN")
        if self._keys.size:
            for batch in _batches(tables, ["image_id", "sha256", "source", *_LABELS]):
                self._db.executemany("INSERT INTO equal VALUES (?,?,?,?)", self._suspects(batch))
        self._db.execute("COMMIT")
        self._db.executescript(_SUM_UP)
        found = self._db.execute("SELECT COUNT(*) FROM members WHERE labels > 1").fetchone()
        self.dropped: int = found[0]

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def faulty(self) -> Iterator[str]:
        """Yield the ids of the images that are set aside, sorted."""
        rows = self._db.execute("SELECT image_id FROM members WHERE labels > 1 ORDER BY image_id")
        return (image_id for (image_id,) in rows)

    def faults(self) -> Iterator[tuple[str, str, str]]:
        """Yield id, path and reason of each image that is set aside; the reason names another."""
        rows = self._db.execute(
            "SELECT here.image_id, here.path, here.label, there.path, there.label "
            "FROM members here "
            "JOIN members there ON there.image_id = here.contrary "
            "WHERE here.labels > 1 ORDER BY here.image_id"
        )
        for image_id, path, label, other, others in rows:
            reason = self._difference(json.loads(label), json.loads(others), other)
            yield image_id, path, reason

    def is_dropped(self, image_id: str) -> bool:
        """Whether an image is set aside."""
        return self.dropped > 0 and self._found(image_id)[1] > 1

    def resolved(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows of a table without those set aside, equal images in one group."""
        suspect = np.isin(_keys(batch["sha256"]), self._keys)
        if not suspect.any():
            return batch
        ids = batch["image_id"].to_pylist()
        groups = batch["group"].to_pylist()
        keep = np.ones(len(ids), np.bool_)
        for row in np.flatnonzero(suspect).tolist():
            first, labels = self._found(ids[row])
            keep[row] = labels <= 1
            groups[row] = first or groups[row]
        place = batch.schema.get_field_index("group")
        changed = batch.set_column(place, batch.schema.field(place), pa.array(groups, pa.string()))
        return changed.filter(pa.array(keep))

    def _found(self, image_id: str) -> tuple[str, int]:
        """Return the first image with the same bytes, and how many labels they have."""
        query = "SELECT first, labels FROM members WHERE image_id = ?"
        found: tuple[str, int] | None = self._db.execute(query, (image_id,)).fetchone()
        return found or ("", 0)

    def _suspects(self, batch: pa.RecordBatch) -> Iterator[tuple[str, str, str, str]]:
        rows = np.flatnonzero(np.isin(_keys(batch["sha256"]), self._keys))
        for row in batch.take(pa.array(rows)).to_pylist():
            yield row["sha256"], row["image_id"], row["source"], _label_text(row)

    def _difference(self, own: list[Any], others: list[Any], other: str) -> str:
        kind, here = own
        there = others[1]
        if kind == "boxes":
            return f"same image with other boxes: {len(here)} here, {len(there)} on {other}"
        if kind == "label":
            here, there = (f"'{self._classes[number]}'" for number in (here, there))
        return f"same image with another {kind}: {here} here, {there} on {other}"


def _label_text(row: dict[str, Any]) -> str:
    """Return what an image is said to show, as text that is equal where that is."""
    kind = next(name for name in _LABELS if row[name] is not None)
    value = sorted(list(box.values()) for box in row[kind]) if kind == "boxes" else row[kind]
    return json.dumps([kind, value])


def _batches(tables: Sequence[Path], columns: list[str]) -> Iterator[pa.RecordBatch]:
    for table in tables:
        yield from iter_batches(table, columns)


def _repeated(tables: Sequence[Path]) -> NDArray[np.uint64]:
    """Return the keys that occur more than once, sorted."""
    parts = [_keys(batch["sha256"]) for batch in _batches(tables, ["sha256"])]
    if not parts:
        return np.empty(0, np.uint64)
    keys = np.concatenate(parts)
    keys.sort()
    return np.unique(keys[1:][keys[1:] == keys[:-1]])


def _keys(digests: pa.Array) -> NDArray[np.uint64]:
    """Return the first 64 bits of hexadecimal digests."""
    text = "".join(digest[:16] for digest in digests.to_pylist())
    return np.frombuffer(bytes.fromhex(text), ">u8").astype(np.uint64)
