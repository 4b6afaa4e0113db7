"""What can only be said of the whole table, gathered in one pass with small arrays."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.shared.task import Task

BATCH: Final = 50_000  # rows checked at a time; bounds the memory
_BOX_SET_ASIDE: Final = "box set aside"  # how ingest words the loss of a box, not of its image


@dataclass(frozen=True)
class Facts:
    """Counts over the whole table.

    Attributes:
        images: rows.
        annotated: images that have a label, a count or at least one box, by task.
        classes: images that show each class (or have each count), by name; classes of the
            list that no image shows have 0.
        repeated_ids: (k,) sorted uint64, `key64` of the image ids that occur more than once.
        repeated_bytes: (k,) sorted uint64, `key64` of the digests that occur more than once.
        rejected: how often each reason set something aside, the most frequent first.
        rejected_files: files set aside whole.
    """

    images: int
    annotated: int
    classes: dict[str, int]
    repeated_ids: NDArray[np.uint64]
    repeated_bytes: NDArray[np.uint64]
    rejected: dict[str, int]
    rejected_files: int

    @property
    def rejected_share(self) -> float:
        """Files set aside as a share of all files, 0 to 1."""
        return self.rejected_files / max(self.images + self.rejected_files, 1)


def gather(table: Path, rejected: Path, task: Task, classes: tuple[str, ...]) -> Facts:
    """Read the table and the list of what was set aside once."""
    counted: Counter[int] = Counter()
    images = annotated = 0
    ids: list[NDArray[np.uint64]] = []
    digests: list[NDArray[np.uint64]] = []
    for batch in batches(table, ["image_id", "sha256", label_column(task)]):
        images += batch.num_rows
        ids.append(keys64(batch["image_id"]))
        digests.append(keys64(batch["sha256"]))
        shown = _images_by_class(batch[label_column(task)])
        annotated += shown.pop(None, 0)
        counted.update({key: number for key, number in shown.items() if key is not None})
    reasons, files = _rejected(rejected)
    return Facts(
        images, annotated, _named(counted, classes), _repeated(ids), _repeated(digests),
        reasons, files,
    )  # fmt: skip


def batches(table: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the table in batches of rows."""
    yield from pq.ParquetFile(table).iter_batches(batch_size=BATCH, columns=columns)


def label_column(task: Task) -> str:
    """Return the column that holds what a model of this task learns."""
    return {"detect": "boxes", "count": "count", "classify": "label"}[task]


def keys64(names: pa.Array) -> NDArray[np.uint64]:
    """Return the first 64 bits of each name's BLAKE2b digest.

    Among 500,000 names the chance that any two collide is below 1e-8.
    """
    digests = (blake2b(name.encode(), digest_size=8).digest() for name in names.to_pylist())
    return np.frombuffer(b"".join(digests), np.uint64)


def _repeated(parts: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    keys = np.sort(np.concatenate(parts)) if parts else np.empty(0, np.uint64)
    return np.unique(keys[1:][keys[1:] == keys[:-1]])


def _images_by_class(column: pa.Array) -> dict[int | None, int]:
    """Count the images that show each class; under None those that show any."""
    if not pa.types.is_list(column.type):
        found = column.drop_null()
        counts = {item["values"]: item["counts"] for item in found.value_counts().to_pylist()}
        return {**counts, None: len(found)}
    owners = pc.list_parent_indices(column).to_numpy()
    labels = pc.list_flatten(column).field("label").to_numpy()
    pairs = np.unique(np.stack([owners, labels], axis=1), axis=0)
    classes, numbers = np.unique(pairs[:, 1], return_counts=True)
    counts = dict(zip(classes.tolist(), numbers.tolist(), strict=True))
    return {**counts, None: len(np.unique(owners))}


def _named(counted: Counter[int], classes: tuple[str, ...]) -> dict[str, int]:
    """Name classes; a number without a name (a count, or a wrong label) keeps its number."""
    named = {name: counted.pop(index, 0) for index, name in enumerate(classes)}
    return named | {str(index): number for index, number in sorted(counted.items())}


def _rejected(path: Path) -> tuple[dict[str, int], int]:
    reasons: Counter[str] = Counter()
    files: set[str] = set()
    for batch in batches(path, ["path", "reason"]):
        for where, reason in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            # Grouped by what went wrong: what it was found in differs from row to row.
            reasons[reason.split(":")[0].split("(")[0].strip()] += 1
            if not reason.startswith(_BOX_SET_ASIDE):
                files.add(where.split("#")[0])
    return dict(reasons.most_common()), len(files)
