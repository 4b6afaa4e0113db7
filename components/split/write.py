"""The table with its splits and final groups."""

import os
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.shared.table import ROW_GROUP
from components.shared.task import SPLITS
from components.split.components import Components
from components.split.config import SplitSection
from components.split.rows import base_names

_COLUMNS: Final = ["image_id", "group"]


def write_split(
    table: Path,
    split_table: Path,
    section: SplitSection,
    components: Components,
    splits: NDArray[np.int8],
) -> None:
    """Copy the table with new columns, one row group in memory at a time, whole or not at all.

    Args:
        table: the image table.
        split_table: where the copy is written.
        section: the step's settings; they name the groups.
        components: of the table's rows, in its order.
        splits: (components,) indices in SPLITS.
    """
    names = _shared_names(table, section, components)
    source = pq.ParquetFile(table)
    split_table.parent.mkdir(parents=True, exist_ok=True)
    aside = split_table.with_name(f".{split_table.name}.{os.getpid()}")
    start = 0
    with pq.ParquetWriter(aside, source.schema_arrow, compression="zstd") as writer:
        for batch in source.iter_batches(batch_size=ROW_GROUP):
            labels = components.labels[start : start + batch.num_rows]
            start += batch.num_rows
            own = _base_names(batch, section)
            groups = [names.get(one, name) for one, name in zip(labels.tolist(), own, strict=True)]
            codes = pa.array(splits[labels], pa.int8())
            filled = _replaced(batch, "group", pa.array(groups, pa.string()))
            by_name = pa.DictionaryArray.from_arrays(codes, pa.array(SPLITS))
            writer.write_batch(_replaced(filled, "split", by_name))
    aside.replace(split_table)


def _replaced(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    return batch.set_column(batch.schema.get_field_index(name), batch.schema.field(name), values)


def _shared_names(table: Path, section: SplitSection, components: Components) -> dict[int, str]:
    """Return the smallest name in each component that has several images."""
    several = components.sizes() > 1
    names: dict[int, str] = {}
    start = 0
    for batch in pq.ParquetFile(table).iter_batches(batch_size=ROW_GROUP, columns=_COLUMNS):
        labels = components.labels[start : start + batch.num_rows]
        start += batch.num_rows
        for label, name in zip(labels.tolist(), _base_names(batch, section), strict=True):
            if several[label]:
                names[label] = min(name, names.get(label, name))
    return names


def _base_names(batch: pa.RecordBatch, section: SplitSection) -> list[str]:
    ids, groups = (batch[name].to_pylist() for name in _COLUMNS)
    return list(base_names(ids, groups, section.id_block))
