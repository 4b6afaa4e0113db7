"""Images from the shards, packed in several threads and written in the shards' order."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.im2rec.config import Im2RecSection
from components.im2rec.frames import Block, frame_block
from components.im2rec.parts import Parts, PartsWriter
from components.im2rec.plan import Plan
from components.im2rec.resize import Encoded, resized
from components.im2rec.shard_rows import Group
from components.im2rec.size import target_size
from components.shared.errors import UserError
from components.shared.parallel import worker_count
from components.shared.progress import progress
from components.shared.task import SPLITS, Split

_AHEAD = 2  # row groups packed or in work, beyond one a thread: bounds what is in memory


@dataclass(frozen=True)
class _Packed:
    """The records of one row group that go to one split."""

    split: Split
    indices: npt.NDArray[np.int64]
    block: Block


def write_records(
    folder: Path, groups: list[Group], plan: Plan, section: Im2RecSection
) -> dict[Split, Parts]:
    """Write every image's record; return what was written of each split.

    Records follow the shards' order, which the indices bring into the table's.

    Raises:
        UserError: naming the image, if one cannot be resized or is too long for the format.
    """
    label = f"packing {plan.splits.size:,} images in groups"
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(PartsWriter(folder, split, count, section.part_bytes))
            for split, count in plan.counts.items()
        }
        for packed in progress(_all_packed(groups, plan, section), len(groups), label):
            for piece in packed:
                writers[piece.split].append(piece.indices, piece.block)
        return {split: writer.finish() for split, writer in writers.items()}


def _all_packed(groups: list[Group], plan: Plan, section: Im2RecSection) -> Iterator[list[_Packed]]:
    """Yield each row group's records, in order.

    Threads, since Arrow, the image libraries and the copying of bytes let each other run:
    processes would have to send all images to one another.
    """
    cv2.setNumThreads(1)  # the threads here share the cores already
    workers = worker_count(section.workers)
    waiting: deque[Future[list[_Packed]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for group in groups:
                waiting.append(pool.submit(_pack, group, plan, section))
                if len(waiting) >= workers + _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _pack(group: Group, plan: Plan, section: Im2RecSection) -> list[_Packed]:
    with pq.ParquetFile(group.path, memory_map=True, pre_buffer=False) as file:
        table = file.read_row_group(group.number, use_threads=False)
    images = _views(table["bytes"])
    if section.resizes:
        ids = table["image_id"].to_pylist()
        images = [
            _resized(image_id, image, row, plan, section)
            for image_id, image, row in zip(ids, images, group.rows.tolist(), strict=True)
        ]
    splits = plan.splits[group.rows]
    packed = []
    for number, split in enumerate(SPLITS):
        places = np.flatnonzero(splits == number)
        if not places.size:
            continue
        rows = group.rows[places]
        indices = plan.indices[rows].astype(np.int64)
        chosen = [images[place] for place in places.tolist()]
        try:
            block = frame_block(indices, plan.labels.of_rows(rows), chosen)
        except ValueError as error:
            longest = places[int(np.argmax([image.nbytes for image in chosen]))]
            raise UserError(
                f"image '{table['image_id'][int(longest)]}': {error}; resize it"
            ) from None
        packed.append(_Packed(split, indices, block))
    return packed


def _views(column: pa.ChunkedArray) -> list[memoryview]:
    """Return the bytes of each value, where Arrow has them: nothing is copied."""
    views: list[memoryview] = []
    for chunk in column.chunks:
        _, ends, values = chunk.buffers()
        offsets = np.frombuffer(ends, np.int32)[chunk.offset :][: len(chunk) + 1].tolist()
        data = memoryview(values).cast("B") if values is not None else memoryview(b"")
        views.extend(data[start:end] for start, end in pairwise(offsets))
    return views


def _resized(
    image_id: str, data: memoryview, row: int, plan: Plan, section: Im2RecSection
) -> memoryview:
    size = plan.size(row)
    image = Encoded(image_id, data, bool(plan.is_jpeg[row]), size)
    return resized(image, target_size(size, section), section.quality)
