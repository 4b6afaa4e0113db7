"""Which row of the image table each image of the shards is."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.shared.errors import UserError
from components.shared.shards import shard_paths

_NAMED = 5  # missing images that an error lists


@dataclass(frozen=True)
class Group:
    """A row group of a shard: what is read, and packed, at a time.

    Attributes:
        path: the shard.
        number: of the row group in it.
        rows: int32 (N,), the row of the image table that each of its images is.
    """

    path: Path
    number: int
    rows: npt.NDArray[np.int32]


def find_rows(table: Path, folders: Iterable[Path]) -> list[Group]:
    """Match all images of the shards with the rows of the table; reads ids alone.

    Raises:
        UserError: if the two do not hold the same images, each once, naming one of those.
    """
    shards = [path for folder in folders for path in shard_paths(folder)]
    wanted = _ids(table)
    found = pa.chunked_array(
        [chunk for path in shards for chunk in _ids(path).chunks], type=pa.string()
    )
    rows = _matched(wanted, found)
    groups, start = [], 0
    for path in shards:
        metadata = pq.read_metadata(path)
        for number in range(metadata.num_row_groups):
            count = metadata.row_group(number).num_rows
            groups.append(Group(path, number, rows[start : start + count]))
            start += count
    return groups


def _ids(path: Path) -> pa.ChunkedArray:
    with pq.ParquetFile(path, pre_buffer=False) as file:
        return file.read(columns=["image_id"], use_threads=False)["image_id"]


def _matched(wanted: pa.ChunkedArray, found: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    rows = pc.index_in(found, value_set=wanted)
    if rows.null_count:
        stranger = found.filter(rows.is_null())[0].as_py()
        raise UserError(f"image '{stranger}': in no row of the table; run ingest again")
    matched: npt.NDArray[np.int32] = rows.to_numpy().astype(np.int32)
    times = np.bincount(matched, minlength=len(wanted))
    if times.max(initial=0) > 1:
        image_id = wanted[int(times.argmax())].as_py()
        raise UserError(f"image '{image_id}': twice in the shards; run ingest again")
    missing = np.flatnonzero(times == 0)
    if missing.size:
        _refuse_repeated(wanted)
        named = ", ".join(wanted.take(pa.array(missing[:_NAMED])).to_pylist())
        raise UserError(
            f"{missing.size:,} images of the table are in no shard, e.g. {named}; run ingest again"
        )
    return matched


def _refuse_repeated(ids: pa.ChunkedArray) -> None:
    """Of an id that the table holds twice, the second row found no image."""
    counted = pc.value_counts(ids)
    often = pc.greater(pc.struct_field(counted, "counts"), 1)
    repeated = pc.struct_field(counted, "values").filter(often)
    if len(repeated):
        raise UserError(f"image '{repeated[0]}': twice in the image table; run ingest again")
