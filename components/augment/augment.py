"""Augmented copies of the training images, made once and packed with the others."""

import hashlib
import shutil
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torchvision.io import encode_jpeg, encode_png

from components.augment.config import AugmentSection, check_task
from components.augment.transform import Copy, copy_seed, make_copy
from components.shared.errors import UserError
from components.shared.images_io import open_image
from components.shared.parallel import chunked, map_chunks, worker_count
from components.shared.progress import progress
from components.shared.shards import ShardWriter, iter_images
from components.shared.table import iter_rows, read_info, write_rows
from components.shared.task import Task

Row = dict[str, Any]
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def augment(
    section: AugmentSection,
    task: Task,
    seed: int,
    images: Path,
    table: Path,
    augmented_images: Path,
    augmented_table: Path,
) -> int:
    """Write `section.copies` changed copies of each training image; return how many.

    Validation and test images are never copied: what they measure must not move. A copy belongs
    to its original's group, and depends on seed, image and copy number alone.

    Args:
        section: the step's settings.
        task: decides what is safe: a crop may remove an item, so counting takes none.
        seed: of all copies.
        images: shards.
        table: the image table, with splits.
        augmented_images: folder for the shards of the copies; stays empty without copies.
        augmented_table: the old rows, then the copies' in the order of their originals; appears
            whole or not at all.

    Raises:
        UserError: if the settings do not suit the task, or a training image is not in the shards
            exactly once.
    """
    check_task(section, task)
    shutil.rmtree(augmented_images, ignore_errors=True)  # of an interrupted run
    augmented_images.mkdir(parents=True)
    if not section.copies:
        shutil.copyfile(table, augmented_table)
        print("augment: no copies asked for")
        return 0
    originals = _Originals(table)
    aside = augmented_table.with_name(f".{augmented_table.name}.partial")
    with ShardWriter(augmented_images, "augmented") as shards:
        copies = _copies(section, seed, images, originals)
        rows = chain(iter_rows(table), _stored(copies, shards))
        write_rows(aside, rows, read_info(table))
    originals.check_all_found(images)
    aside.replace(augmented_table)
    made = section.copies * len(originals)
    print(f"augment: {made:,} copies; training images {len(originals) + made:,}")
    return made


class _Originals:
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

    def take(self, image_id: str) -> Row:
        """Return a row, which may be asked for once.

        Raises:
            UserError: if it was taken before.
        """
        if image_id not in self._waiting:
            raise UserError(f"image '{image_id}': twice in the shards; run ingest again")
        self._waiting.remove(image_id)
        row: Row = self._rows.slice(self._places[image_id], 1).to_pylist()[0]
        return {**row, "attributes": dict(row["attributes"] or {})}

    def check_all_found(self, images: Path) -> None:
        """Raise UserError if there are rows that were never taken."""
        if self._waiting:
            raise UserError(
                f"{images}: {len(self._waiting):,} training images are in no shard, e.g. "
                f"{', '.join(sorted(self._waiting)[:5])}; run ingest again"
            )


def _copies(
    section: AugmentSection, seed: int, images: Path, originals: _Originals
) -> Iterator[tuple[Row, bytes]]:
    """Yield the copies' rows and bytes in the order of the shards, then of the copy number."""
    work = ((originals.take(name), data) for name, data in iter_images(images, originals))
    chunks = chunked(work, lambda item: len(item[1]))
    function = partial(_copy_chunk, section=section, seed=seed)
    results = map_chunks(function, chunks, worker_count(section.workers))
    flat = (copy for chunk in results for copy in chunk)
    yield from progress(flat, section.copies * len(originals), "augmenting")


def _stored(copies: Iterator[tuple[Row, bytes]], shards: ShardWriter) -> Iterator[Row]:
    """Put each copy's bytes into a shard as its row goes by: no list of rows is held."""
    for row, data in copies:
        shards.add(row["image_id"], data)
        yield row


def _copy_chunk(
    work: list[tuple[Row, bytes]], section: AugmentSection, seed: int
) -> list[tuple[Row, bytes]]:
    torch.set_num_threads(1)  # processes share the cores already
    made = []
    for row, data in work:
        pixels = torch.from_numpy(np.array(open_image(data))).permute(2, 0, 1)
        for number in range(1, section.copies + 1):
            copy_of = copy_seed(seed, row["image_id"], number)
            copy = make_copy(pixels, _boxes(row), section, copy_of)
            encoded = _encode(copy.image, row["format"], section.quality)
            made.append((_row(row, number, copy, encoded), encoded))
    return made


def _boxes(row: Row) -> torch.Tensor:
    values = [[box[side] for side in _SIDES] for box in row["boxes"] or []]
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 4)


def _encode(image: torch.Tensor, image_format: str, quality: int) -> bytes:
    """Encode losslessly what was lossless: artefacts would tell copies from originals."""
    contiguous = image.contiguous()
    encoded = encode_png(contiguous) if image_format == "png" else encode_jpeg(contiguous, quality)
    return bytes(encoded.numpy())


def _row(original: Row, number: int, copy: Copy, encoded: bytes) -> Row:
    boxes = None
    if original["boxes"] is not None:
        labels = [original["boxes"][index]["label"] for index in copy.kept.tolist()]
        boxes = [
            {"label": label, **dict(zip(_SIDES, sides, strict=True))}
            for label, sides in zip(labels, copy.boxes.tolist(), strict=True)
        ]
    return {
        **original,
        "image_id": f"{original['image_id']}#aug{number}",
        "sha256": hashlib.sha256(encoded).hexdigest(),
        "width": copy.image.shape[-1],
        "height": copy.image.shape[-2],
        "format": "png" if original["format"] == "png" else "jpeg",
        "boxes": boxes,
        "attributes": {**original["attributes"], "augmented_from": original["image_id"]},
    }
