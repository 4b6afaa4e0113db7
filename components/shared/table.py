"""The image table: the one source of truth between steps.

One row an image, in Parquet. Pixels never travel here: encoded bytes are in shards
(`components.shared.shards`), matched by `image_id`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.shared.errors import UserError
from components.shared.task import SPLITS, Task

VERSION = "1"
ROW_GROUP = 20_000  # rows; bounds the memory of a reader that streams

BOX = pa.struct(
    [
        pa.field("label", pa.int32(), nullable=False),
        pa.field("xmin", pa.float32(), nullable=False),
        pa.field("ymin", pa.float32(), nullable=False),
        pa.field("xmax", pa.float32(), nullable=False),
        pa.field("ymax", pa.float32(), nullable=False),
    ]
)

FIELDS = [
    pa.field("image_id", pa.string(), nullable=False),
    pa.field("sha256", pa.string(), nullable=False),
    pa.field("width", pa.int32(), nullable=False),  # pixels, EXIF orientation applied
    pa.field("height", pa.int32(), nullable=False),
    pa.field("format", pa.string(), nullable=False),  # jpeg, png, ...
    pa.field("group", pa.string(), nullable=False),  # images that must not be split apart
    pa.field("split", pa.dictionary(pa.int8(), pa.string())),  # null until split
    pa.field("label", pa.int32()),
    pa.field("count", pa.int32()),
    pa.field("boxes", pa.list_(BOX)),  # normalized to [0, 1], half-open
    pa.field("source", pa.string(), nullable=False),
    pa.field("attributes", pa.map_(pa.string(), pa.string())),
]

# The column that holds what a model of a task learns.
LABEL_COLUMN: Final[dict[Task, str]] = {"classify": "label", "count": "count", "detect": "boxes"}

NEAR_DUPLICATES: Final = "near_duplicates"  # the attribute that names an image's look-alikes

REJECTED_FIELDS = [
    pa.field("path", pa.string(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("thumbnail", pa.binary()),  # a small JPEG of the file, for some rows of each kind
]


class Rejection(NamedTuple):
    """What could not be used, why, and for some files that do decode a small picture (JPEG)."""

    path: str
    reason: str
    thumbnail: bytes | None = None

    @property
    def file(self) -> str:
        """The file, without the place inside it, as in `labels/a.xml#object3`."""
        return self.path.rsplit("#", 1)[0]


@dataclass(frozen=True)
class TableInfo:
    """What the schema's metadata says about the whole table.

    Attributes:
        task: what the labels are for.
        classes: class names; `label` and `boxes[].label` index this list. Empty for counting.
    """

    task: Task
    classes: tuple[str, ...]


def schema(info: TableInfo) -> pa.Schema:
    """Return the table's Arrow schema, with version, task and class names as metadata."""
    metadata = {
        "sightline.version": VERSION,
        "sightline.task": info.task,
        "sightline.classes": json.dumps(list(info.classes)),
    }
    return pa.schema(FIELDS, metadata=metadata)


def rejected_schema() -> pa.Schema:
    """Return the schema of the table that lists what could not be used, and why."""
    return pa.schema(REJECTED_FIELDS, metadata={"sightline.version": VERSION})


def read_info(path: Path) -> TableInfo:
    """Return task and class names of the table at `path`.

    Raises:
        UserError: if the file is not an image table of this version.
    """
    metadata = pq.read_schema(path).metadata or {}
    version = metadata.get(b"sightline.version", b"none").decode()
    if version != VERSION or b"sightline.classes" not in metadata:
        raise UserError(
            f"{path}: not an image table of version {VERSION} (found version {version}); "
            "run ingest again with this release"
        )
    classes = tuple(json.loads(metadata[b"sightline.classes"]))
    return TableInfo(metadata[b"sightline.task"].decode(), classes)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the table at `path`, all columns or those named."""
    return pq.read_table(path, columns=list(columns) if columns is not None else None)


def write_rows(path: Path, rows: Iterable[dict[str, Any]], info: TableInfo) -> int:
    """Write rows (dicts in the schema's form) in row groups; return how many.

    Holds one row group in memory. Sorted input gives reproducible bytes.
    """
    return _write(path, rows, schema(info))


def write_batches(path: Path, batches: Iterable[pa.RecordBatch], info: TableInfo) -> int:
    """Write batches of rows of any size in row groups; return how many rows.

    Holds a row group and a batch in memory. The bytes depend on the rows alone, not on how they
    came in batches.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    into = schema(info)
    waiting = pa.Table.from_batches([], into)
    total = 0
    with pq.ParquetWriter(path, into, compression="zstd") as writer:
        for batch in batches:
            total += batch.num_rows
            added = pa.Table.from_batches([batch]).cast(into)
            waiting = pa.concat_tables([waiting, added])
            while waiting.num_rows >= ROW_GROUP:
                writer.write_table(waiting.slice(0, ROW_GROUP).combine_chunks())
                waiting = waiting.slice(ROW_GROUP)
        if waiting.num_rows:
            writer.write_table(waiting.combine_chunks())
    return total


def write_rejected(path: Path, rows: Iterable[Rejection]) -> int:
    """Write what could not be used; return how many rows."""
    return _write(path, (row._asdict() for row in rows), rejected_schema())


def iter_rejected(path: Path) -> Iterator[Rejection]:
    """Yield what `write_rejected` wrote."""
    return (Rejection(**row) for row in iter_rows(path))


def _write(path: Path, rows: Iterable[dict[str, Any]], into: pa.Schema) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    total = 0
    with pq.ParquetWriter(path, into, compression="zstd") as writer:
        for chunk in _chunks(rows, ROW_GROUP):
            writer.write_table(pa.Table.from_pylist(chunk, schema=into))
            total += len(chunk)
    return total


def _chunks(rows: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def iter_batches(
    path: Path, columns: Sequence[str] | None = None, size: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows in batches of at most `size` (or `ROW_GROUP`), one in memory at a time."""
    names = list(columns) if columns is not None else None
    # Pre-buffering would read the whole file first. In one thread, because several are hardly
    # faster here, and each keeps what it has used of the memory.
    with pq.ParquetFile(path, pre_buffer=False) as file:
        yield from file.iter_batches(batch_size=size or ROW_GROUP, columns=names, use_threads=False)


def iter_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield rows as dicts, one row group in memory at a time. `attributes` comes as a dict."""
    for batch in iter_batches(path, columns):
        for row in batch.to_pylist():
            if row.get("attributes") is not None:
                row["attributes"] = dict(row["attributes"])
            yield row


def split_counts(path: Path) -> dict[str, int]:
    """Return the number of images in each split, in the order train, val, test."""
    column = read_table(path, ["split"])["split"].cast(pa.string())
    counted = {item["values"]: item["counts"] for item in column.value_counts().to_pylist()}
    return {name: counted.get(name, 0) for name in SPLITS}


def fingerprint(path: Path) -> str:
    """Return a SHA-256 over what a model learns from: ids, bytes, splits and labels.

    Independent of row order, so equal data has an equal fingerprint however it was read: the
    rows' digests are summed up, which takes the same memory for any number of them.
    """
    total = 0
    columns = ["image_id", "sha256", "split", "label", "count"]
    for batch in iter_batches(path, [*columns, "boxes"]):
        values = zip(*(batch[name].to_pylist() for name in columns), strict=True)
        for row, boxes in zip(values, _box_bytes(batch["boxes"]), strict=True):
            digest = hashlib.sha256("\0".join(map(str, row)).encode() + boxes).digest()
            total += int.from_bytes(digest)
    return hashlib.sha256((total % 2**256).to_bytes(32)).hexdigest()


def _box_bytes(boxes: pa.ListArray) -> Iterator[bytes]:
    """Yield each row's boxes as bytes; a row without boxes and one with none differ."""
    fields = boxes.flatten().flatten()  # of all rows, one array a field
    stacked = np.stack([field.to_numpy().view(np.int32) for field in fields], axis=1)
    data = stacked.astype("<i4").tobytes()
    width = 4 * len(fields)
    end = 0
    for length in pc.list_value_length(boxes).to_pylist():
        if length is None:
            yield b""
            continue
        start, end = end, end + width * length
        yield b"\0boxes" + data[start:end]
