"""A profile: what a later run is compared with, small enough to travel as text."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.shared.config import explain
from components.shared.errors import UserError
from components.shared.table import LABEL_COLUMN, TableInfo
from components.shared.task import Task
from components.validate.facts import batches
from components.validate.histogram import Grid, Histogram
from components.validate.pixels import measure_pixels, sample_ids

VERSION: Final = 1
NAMES: Final = 300  # classes kept by name, the most frequent: a text parameter is at most 128 KiB
_GRIDS: Final = {
    "width": Grid(scale="log2", low=0, high=16, bins=256),
    "height": Grid(scale="log2", low=0, high=16, bins=256),
    "width_over_height": Grid(scale="log2", low=-6, high=6, bins=192),
    "boxes": Grid(scale="linear", low=0, high=256, bins=256),
    "box_area": Grid(scale="log2", low=-20, high=0, bins=80),
    "brightness": Grid(scale="linear", low=0, high=1, bins=64),
    "contrast": Grid(scale="linear", low=0, high=0.5, bins=64),
}
TITLES: Final = {
    "width": "width, pixels",
    "height": "height, pixels",
    "width_over_height": "width over height",
    "boxes": "boxes an image",
    "box_area": "mean box area of an image, share of it",
    "brightness": "brightness (mean luma, 0 to 1)",
    "contrast": "contrast (standard deviation of the luma, 0 to 0.5)",
}


class Profile(BaseModel):
    """What a table looks like, without any image of it.

    The same data and seed give the same text, whatever the order of the rows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    version: Literal[1]
    task: Task
    images: int = Field(ge=0, description="rows of the table")
    classes: tuple[str, ...] = Field(description="the list of classes, its first names")
    classes_digest: str = Field(description="SHA-256 of the whole list of classes")
    weights: dict[str, float] = Field(
        description="images by class or count, the most frequent; an image with boxes of several "
        "classes is divided among them, so that each image weighs one"
    )
    other_weight: float = Field(ge=0, description="images of the classes that are not listed")
    histograms: dict[str, Histogram] = Field(
        description="sizes in pixels, boxes, and of a sample brightness and contrast"
    )

    @property
    def has_all_classes(self) -> bool:
        """Whether `classes` is the whole list."""
        return self.classes_digest == _digest(self.classes)

    def to_json(self) -> str:
        """Return the profile as text."""
        return self.model_dump_json() + "\n"


def parse_profile(text: str, where: str) -> Profile:
    """Read a profile.

    Args:
        text: JSON, as `Profile.to_json` writes it.
        where: what it came from, for messages.

    Raises:
        UserError: if it is none, or one of another version.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{where}: is not a profile: not JSON ({error}); give the `profile` that a validate "
            "step wrote"
        ) from None
    version = content.get("version") if isinstance(content, dict) else None
    if version != VERSION:
        raise UserError(
            f"{where}: is not a profile of version {VERSION} (found {version or 'none'}); give "
            "one that this release wrote"
        )
    try:
        return Profile.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f"{where}: is not a profile: {explain(error, Profile)}") from None


def measure(table: Path, images: Path, info: TableInfo, seed: int, samples: int) -> Profile:
    """Read the table once, and the pixels of a sample of its images.

    Args:
        table: the image table.
        images: the folder of shards.
        info: the table's task and classes.
        seed: decides which images are sampled.
        samples: images whose pixels are read, at most.
    """
    total = 0
    weights: Counter[int] = Counter()
    histograms: dict[str, Histogram] = {}
    for batch in batches(table, ["width", "height", LABEL_COLUMN[info.task]]):
        total += batch.num_rows
        weights.update(_weights(batch[LABEL_COLUMN[info.task]]))
        for name, values in _quantities(batch, info.task):
            found = Histogram.of(_GRIDS[name], values)
            histograms[name] = histograms[name] + found if name in histograms else found
    if samples:
        pixels = measure_pixels(images, sample_ids(table, samples, seed))
        histograms["brightness"] = Histogram.of(_GRIDS["brightness"], pixels[:, 0])
        histograms["contrast"] = Histogram.of(_GRIDS["contrast"], pixels[:, 1])
    return _profile(info, total, weights, histograms)


def _profile(
    info: TableInfo, total: int, weights: Counter[int], histograms: dict[str, Histogram]
) -> Profile:
    named = dict.fromkeys(info.classes, 0.0)
    for index, weight in sorted(weights.items()):
        known = 0 <= index < len(info.classes)
        named[info.classes[index] if known else str(index)] = round(weight, 3)
    ranked = sorted(named.items(), key=lambda item: (-item[1], item[0]))
    return Profile(
        version=VERSION,
        task=info.task,
        images=total,
        classes=info.classes[:NAMES],
        classes_digest=_digest(info.classes),
        weights=dict(ranked[:NAMES]),
        other_weight=round(sum(weight for _, weight in ranked[NAMES:]), 3),
        histograms=histograms,
    )


def _weights(column: pa.Array) -> dict[int, float]:
    """Return the images of each class or count; an image is divided among its boxes' classes."""
    if not pa.types.is_list(column.type):
        counted = column.drop_null().value_counts().to_pylist()
        return {item["values"]: item["counts"] for item in counted}
    owners = pc.list_parent_indices(column).to_numpy()
    labels = pc.list_flatten(column).field("label").to_numpy()
    shares = 1 / np.bincount(owners, minlength=len(column))[owners]
    classes, places = np.unique(labels, return_inverse=True)
    sums = np.bincount(places, shares, minlength=classes.size)
    return dict(zip(classes.tolist(), sums.tolist(), strict=True))


def _quantities(batch: pa.RecordBatch, task: Task) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield what is measured of each image, by name; one value an image, at most."""
    width, height = (batch[name].to_numpy().astype(float) for name in ("width", "height"))
    yield "width", width
    yield "height", height
    yield "width_over_height", width / np.maximum(height, 1)
    if task != "detect":
        return
    numbers = pc.list_value_length(batch["boxes"]).fill_null(0).to_numpy()
    yield "boxes", numbers.astype(float)
    boxes = pc.list_flatten(batch["boxes"])
    left, top, right, bottom = (
        boxes.field(name).to_numpy().astype(float) for name in ("xmin", "ymin", "xmax", "ymax")
    )
    owners = pc.list_parent_indices(batch["boxes"]).to_numpy()
    sums = np.bincount(owners, (right - left) * (bottom - top), minlength=numbers.size)
    # One value an image: boxes of an image are alike, and would count as more than they are.
    yield "box_area", sums[numbers > 0] / numbers[numbers > 0]


def _digest(classes: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(list(classes)).encode()).hexdigest()
