"""Augmented copies of the training images, made once and packed with the others."""

import hashlib
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.io import encode_jpeg, encode_png

from components.augment.config import AugmentSection
from components.augment.transform import Copy, copy_seed, make_copy
from components.shared.errors import UserError
from components.shared.images_io import open_image
from components.shared.parallel import chunked, map_chunks, worker_count
from components.shared.progress import progress
from components.shared.shards import ShardWriter, iter_images
from components.shared.table import iter_rows, read_info, split_counts, write_rows
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
        augmented_table: the old rows, then the copies'.

    Raises:
        UserError: if the settings do not suit the task, or an image is in no row.
    """
    if task == "count" and section.min_crop < 1:
        raise UserError(
            f"augment.min_crop is {section.min_crop}, but a crop can remove an item and leave its "
            "number; task 'count' needs 1"
        )
    augmented_images.mkdir(parents=True, exist_ok=True)
    if not section.copies:
        shutil.copyfile(table, augmented_table)
        print("augment: no copies asked for")
        return 0
    originals = {r["image_id"]: r for r in iter_rows(table) if r["split"] == "train"}
    copies: list[Row] = []
    with ShardWriter(augmented_images, "augmented") as shards:
        for row, data in _copies(section, seed, images, originals):
            shards.add(row["image_id"], data)
            copies.append(row)
    expected = section.copies * len(originals)
    if len(copies) != expected:
        raise UserError(
            f"{images}: {len(copies):,} copies of {len(originals):,} training images, not "
            f"{expected:,}: images are missing from the shards; run ingest again"
        )
    copies.sort(key=lambda row: str(row["image_id"]))
    write_rows(augmented_table, _chained(table, copies), read_info(table))
    print(f"augment: {len(copies):,} copies; training images {split_counts(augmented_table)}")
    return len(copies)


def _chained(table: Path, copies: list[Row]) -> Iterator[Row]:
    yield from iter_rows(table)
    yield from copies


def _copies(
    section: AugmentSection, seed: int, images: Path, originals: dict[str, Row]
) -> Iterator[tuple[Row, bytes]]:
    work = ((originals[image_id], data) for image_id, data in iter_images(images, originals))
    chunks = chunked(work, lambda item: len(item[1]))
    function = partial(_copy_chunk, section=section, seed=seed)
    results = map_chunks(function, chunks, worker_count(section.workers))
    flat = (copy for chunk in results for copy in chunk)
    yield from progress(flat, section.copies * len(originals), "augmenting")


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
        "boxes": boxes,
        "attributes": {
            **(original["attributes"] or {}),
            "augmented_from": original["image_id"],
        },
    }
