"""Between the image table's rows with encoded bytes, and images with boxes as tensors."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
import torch
from torchvision.io import encode_jpeg, encode_png

from components.augment.transform import Example
from components.shared.errors import UserError
from components.shared.images_io import PILLOW_LIMIT, UnreadableImageError, open_image
from components.shared.shards import shard_paths

Row = dict[str, Any]
Stored = tuple[Row, bytes]  # a row and its image, encoded
SIDES: Final = ("xmin", "ymin", "xmax", "ymax")


def decode(row: Row, data: bytes) -> Example:
    """Return a row's image and boxes.

    Raises:
        UserError: if the image does not decode.
    """
    try:
        # As large as ingest may have let in: its own limit is a setting.
        picture = open_image(data, PILLOW_LIMIT)
    except UnreadableImageError as error:
        raise UserError(f"image '{row['image_id']}': {error}; run ingest again") from None
    boxes = [[box["label"], *(box[side] for side in SIDES)] for box in row["boxes"] or []]
    image = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
    return Example(image, torch.tensor(boxes, dtype=torch.float32).reshape(-1, 5))


def store(
    original: Row, number: int, copy: Example, quality: int, others: Sequence[Row] = ()
) -> Stored:
    """Return a copy's row, and its image encoded.

    What is a JPEG in the table gives a JPEG; anything else is stored without loss, as ingest
    does: artefacts would tell copies from originals.

    Args:
        original: the row that the copy is of.
        number: of the copy, from 1.
        copy: image and boxes.
        quality: of a JPEG.
        others: the rows of the other images in a mosaic.
    """
    image = copy.image.contiguous()
    is_jpeg = original["format"] == "jpeg"
    encoded = bytes((encode_jpeg(image, quality) if is_jpeg else encode_png(image)).numpy())
    attributes = {**original["attributes"], "augmented_from": original["image_id"]}
    if others:
        attributes["mosaic_with"] = " ".join(str(row["image_id"]) for row in others)
    row = {
        **original,
        "image_id": f"{original['image_id']}#aug{number}",
        "sha256": hashlib.sha256(encoded).hexdigest(),
        "width": image.shape[-1],
        "height": image.shape[-2],
        "format": "jpeg" if is_jpeg else "png",
        "boxes": None if original["boxes"] is None else _boxes(copy),
        "attributes": attributes,
    }
    return row, encoded


def read_some(images: Path, ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield id and encoded bytes of a few images; row groups with none of them are not read."""
    for path in shard_paths(images):
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            names = file.read_row_group(group, columns=["image_id"])["image_id"].to_pylist()
            if not any(name in ids for name in names):
                continue
            data = file.read_row_group(group, columns=["bytes"])["bytes"]
            yield from ((name, data[at].as_py()) for at, name in enumerate(names) if name in ids)


def _boxes(copy: Example) -> list[dict[str, float]]:
    return [
        {"label": int(label), **dict(zip(SIDES, sides, strict=True))}
        for label, *sides in copy.target.tolist()
    ]
