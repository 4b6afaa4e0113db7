"""The table as Great Expectations sees it: small flat frames, one batch of rows at a time.

The frames are Arrow-backed: no value is copied into Python objects. What their columns hold is
said in `components.validate.names`. `image_id` names the offending row in messages; frames that
are not of images have one, too.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.shared.table import LABEL_COLUMN, TableInfo
from components.validate.facts import BATCH, Facts, batches, rows_at

IMAGES: Final = "images"
BOXES: Final = "boxes"
CLASSES: Final = "classes"
DATASET: Final = "dataset"

# Which rows a frame holds: a batch of them, all, or (`repeats:<column>`) those whose value of a
# column may occur more than once in the whole table.
ROWS: Final = "rows"
WHOLE: Final = "whole"
REPEATS: Final = "repeats:"

UNIQUE: Final = ("image_id", "sha256", "source", "group")  # columns that can have `repeats`
LABELS_OF_COPIES: Final = "labels_of_copies"  # all labels of the same bytes, where they differ

Needed = Mapping[tuple[str, str], Collection[str]]
_Columns = dict[str, Callable[[], pa.Array]]  # made only when some expectation needs them
_EDGES: Final = ("xmin", "ymin", "xmax", "ymax")


class Frame(NamedTuple):
    """A frame to check: `kind` and `scope` say which expectations are for it."""

    kind: str
    scope: str
    data: pd.DataFrame


def frames(table: Path, info: TableInfo, facts: Facts, needed: Needed) -> Iterator[Frame]:
    """Yield each frame that some expectation needs, with no other columns than these need.

    Args:
        table: the image table.
        info: its task and classes.
        facts: what was gathered, with the repeats of every `repeats:` scope of `needed`.
        needed: the columns for each kind of frame and scope.
    """
    for kind, columns in ((DATASET, _dataset(facts)), (CLASSES, _classes(facts))):
        if (kind, WHOLE) in needed:
            yield _frame(kind, WHOLE, [_select(columns, needed[kind, WHOLE])])
    for _, scope in needed:
        if scope.startswith(REPEATS):
            yield from _repeats(table, info, facts, scope)
    yield from _rows(table, info, needed)


def _dataset(facts: Facts) -> _Columns:
    met = sum(number > 0 for number in facts.classes.values())
    values: dict[str, Any] = {
        "image_id": "all images",
        "images": facts.images,
        "annotated": facts.annotated,
        "classes": met,
        "rejected_files": facts.rejected_files,
        "rejected_share": facts.rejected_share,
    }
    return {name: partial(pa.array, [value]) for name, value in values.items()}


def _classes(facts: Facts) -> _Columns:
    names, numbers = list(facts.classes), list(facts.classes.values())
    total = max(facts.images, 1)
    return {
        "image_id": partial(pa.array, [f"class '{name}'" for name in names], pa.string()),
        "class": partial(pa.array, names, pa.string()),
        "images": partial(pa.array, numbers, pa.int64()),
        "share": partial(pa.array, [number / total for number in numbers], pa.float64()),
    }


def _repeats(table: Path, info: TableInfo, facts: Facts, scope: str) -> Iterator[Frame]:
    """Yield the rows whose value may not be unique, equal values in the same frame."""
    column = scope.removeprefix(REPEATS)
    labels = LABEL_COLUMN[info.task]
    first = np.arange(min(facts.images, 1))  # so that there is a frame where nothing repeats
    for part in facts.repeats[column] or [first]:
        rows = rows_at(table, part, list(dict.fromkeys(("image_id", column, labels))))
        if column == "sha256":
            copies = _labels_of_copies(rows["sha256"], rows[labels], info)
            rows = rows.append_column(LABELS_OF_COPIES, copies)
        yield _frame(IMAGES, scope, [rows.drop_columns(labels)])


def _rows(table: Path, info: TableInfo, needed: Needed) -> Iterator[Frame]:
    """Yield frames of images and boxes: batch by batch, then whole where that is needed."""
    whole: dict[str, list[pa.Table]] = {}
    for batch in _batches(table, info):
        pieces = [(IMAGES, _image_columns(batch, info))]
        if info.task == "detect":
            pieces += [(BOXES, _box_columns(piece, info)) for piece in _slices(batch)]
        for kind, columns in pieces:
            if (kind, ROWS) in needed:
                yield _frame(kind, ROWS, [_select(columns, needed[kind, ROWS])])
            if (kind, WHOLE) in needed:
                whole.setdefault(kind, []).append(_select(columns, needed[kind, WHOLE]))
    for kind in list(whole):
        yield _frame(kind, WHOLE, whole.pop(kind))


def _batches(table: Path, info: TableInfo) -> Iterator[pa.RecordBatch]:
    """Yield the table in batches; an empty one has one without rows."""
    columns = [*UNIQUE, "width", "height", "format", LABEL_COLUMN[info.task]]
    batch = None
    for batch in batches(table, columns):
        yield batch
    if batch is None:
        schema = pq.read_schema(table)
        empty = pa.schema([schema.field(name) for name in columns])
        yield pa.RecordBatch.from_pylist([], schema=empty)


def _image_columns(batch: pa.RecordBatch, info: TableInfo) -> _Columns:
    labels = batch[LABEL_COLUMN[info.task]]
    stored = ("image_id", "sha256", "source", "group", "format", "width", "height")
    columns: _Columns = {name: partial(batch.column, name) for name in stored}
    columns |= {
        "shortest_edge": lambda: pc.min_element_wise(batch["width"], batch["height"]),
        "aspect_ratio": partial(_aspect_ratio, batch["width"], batch["height"]),
    }
    if info.task == "detect":
        return columns | {"boxes": partial(pc.list_value_length, labels)}
    if info.task == "count":
        return columns | {"count": lambda: labels}
    return columns | {"label": lambda: labels, "class": partial(_names, labels, info)}


def _box_columns(batch: pa.RecordBatch, info: TableInfo) -> _Columns:
    boxes = pc.list_flatten(batch["boxes"])
    owners = pc.list_parent_indices(batch["boxes"])
    edges = {name: boxes.field(name) for name in _EDGES}
    width = pc.subtract(edges["xmax"], edges["xmin"])
    height = pc.subtract(edges["ymax"], edges["ymin"])
    return {
        "image_id": lambda: batch["image_id"].take(owners),
        "label": lambda: boxes.field("label"),
        "class": lambda: _names(boxes.field("label"), info),
        **{name: partial(boxes.field, name) for name in _EDGES},
        "width": lambda: width,
        "height": lambda: height,
        # In float64: the product of two small float32 sides could round to a limit itself.
        "area": lambda: pc.multiply(_float64(width), _float64(height)),
        "width_pixels": lambda: pc.multiply(_float64(width), batch["width"].take(owners)),
        "height_pixels": lambda: pc.multiply(_float64(height), batch["height"].take(owners)),
    }


def _slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch of images so that each piece has about `BATCH` boxes; images stay whole."""
    ends = np.cumsum(pc.list_value_length(batch["boxes"]).fill_null(0).to_numpy())
    total = int(ends[-1]) if ends.size else 0
    cuts = np.unique(np.searchsorted(ends, np.arange(BATCH, total, BATCH)))
    bounds = [0, *(cuts + 1).tolist(), batch.num_rows]
    for start, end in pairwise(bounds):
        if end > start or batch.num_rows == 0:
            yield batch.slice(start, end - start)


def _aspect_ratio(width: pa.Array, height: pa.Array) -> pa.Array:
    longest = _float64(pc.max_element_wise(width, height))
    return pc.divide(longest, pc.max_element_wise(pc.min_element_wise(width, height), 1))


def _float64(values: pa.Array) -> pa.Array:
    return pc.cast(values, pa.float64())


def _names(labels: pa.Array, info: TableInfo) -> pa.Array:
    """Return class names; null for a label that the list of classes has not."""
    known = pc.and_(pc.greater_equal(labels, 0), pc.less(labels, len(info.classes)))
    return pa.array(info.classes, pa.string()).take(
        pc.if_else(known, labels, pa.scalar(None, labels.type))
    )


def _labels_of_copies(
    digests: pa.ChunkedArray, labels: pa.ChunkedArray, info: TableInfo
) -> pa.Array:
    """Return for each row all labels of its bytes in words; null where there is only one."""
    keys = [_label_key(one) for one in labels.to_pylist()]
    names = digests.to_pylist()
    met: dict[str, set[object]] = {}
    for name, key in zip(names, keys, strict=True):
        met.setdefault(name, set()).add(key)
    words = {
        name: " or ".join(sorted(_label_words(key, info) for key in found))
        for name, found in met.items()
        if len(found) > 1
    }
    return pa.array([words.get(name) for name in names], pa.string())


def _label_key(label: Any) -> object:
    """Return what two equal labels have in common: the order of boxes says nothing."""
    if not isinstance(label, list):
        return label
    return tuple(sorted((box["label"], *(box[edge] for edge in _EDGES)) for box in label))


def _label_words(key: object, info: TableInfo) -> str:
    if key is None:
        return "none"
    if isinstance(key, tuple):
        return "1 box" if len(key) == 1 else f"{len(key)} boxes"
    if info.task == "classify" and isinstance(key, int) and 0 <= key < len(info.classes):
        return info.classes[key]
    return str(key)


def _select(columns: _Columns, names: Collection[str]) -> pa.Table:
    return pa.table({name: columns[name]() for name in sorted(names)})


def _frame(kind: str, scope: str, parts: list[pa.Table]) -> Frame:
    data: pd.DataFrame = pa.concat_tables(parts).to_pandas(types_mapper=pd.ArrowDtype)
    return Frame(kind, scope, data)
