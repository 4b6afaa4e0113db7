"""From boxes as annotated to boxes as the image table wants them."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from components.ingest.records import RawBox, Record
from components.shared.images_io import ImageFacts

SLACK_PX = 1.0  # reaching so far outside is rounding or another origin, not worth a note
_ASPECT_TOLERANCE = 0.02  # by how much a resized copy's aspect ratio may differ


@dataclass(frozen=True)
class Box:
    """A box that holds: shares of the image as shown, 0 <= min < max <= 1 in float32."""

    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass
class Cleaned:
    """What became of an image's boxes.

    Attributes:
        boxes: those that can be used.
        rejected: `(origin, reason)` of the others.
        notes: attributes that say what was mended, e.g. `{"boxes_clipped": "2"}`.
        fault: why none of them can be trusted; empty if they can.
    """

    boxes: list[Box] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    fault: str = ""


def clean_boxes(record: Record, facts: ImageFacts) -> Cleaned:
    """Normalize a record's boxes, mend what is unambiguous, and set aside the rest.

    Inverted corners are swapped, boxes that reach outside are clipped, and of boxes with the
    same class and corners one is kept; each is noted. A box without area, outside the image,
    or with a coordinate that is no number is set aside.
    """
    cleaned = Cleaned()
    width, height, turned = facts.width, facts.height, False
    if record.annotated_size is not None and record.units != "normalized":
        cleaned.fault = _size_fault(record.annotated_size, facts)
        if cleaned.fault:
            return cleaned
        turned = _is_turned(record.annotated_size, facts)
        if record.annotated_size not in {(width, height), facts.stored_size}:
            width, height = record.annotated_size
            cleaned.notes["annotated_size"] = f"{width}x{height}"
        elif turned:
            width, height = facts.stored_size
            cleaned.notes["boxes_turned"] = f"EXIF orientation {facts.orientation}"
    mended: Counter[str] = Counter()
    for raw in record.boxes or ():
        box = _normalized(raw, record.units, width, height, mended)
        if isinstance(box, str):
            cleaned.rejected.append((raw.origin, f"box set aside: {box}"))
            continue
        if turned:
            box = _turn(box, facts.orientation)
        cleaned.boxes.append(Box(raw.name, *box))
    distinct = list(dict.fromkeys(cleaned.boxes))
    mended["boxes_repeated"] += len(cleaned.boxes) - len(distinct)
    cleaned.boxes = distinct
    cleaned.notes.update({key: str(number) for key, number in mended.items() if number})
    return cleaned


Corners = tuple[float, float, float, float]


def _normalized(
    raw: RawBox, units: str, width: int, height: int, mended: Counter[str]
) -> Corners | str:
    """Return a box's corners as shares, or why it cannot be used."""
    corners = raw[1:5]
    if not all(map(math.isfinite, corners)):
        return f"a coordinate is not a number {_show(corners)}"
    xmin, xmax = sorted((raw.xmin, raw.xmax))
    ymin, ymax = sorted((raw.ymin, raw.ymax))
    if xmin == xmax or ymin == ymax:
        return f"it has no area {_show(corners)}"
    if units == "voc":  # pixel 1 is the first, and the last pixel belongs to the box
        xmin, ymin = xmin - 1, ymin - 1
    slack = (SLACK_PX / width, SLACK_PX / height)
    shares = (xmin, ymin, xmax, ymax)
    if units != "normalized":
        shares = (xmin / width, ymin / height, xmax / width, ymax / height)
    clipped = [min(max(share, 0.0), 1.0) for share in shares]
    x0, y0, x1, y1 = (float(np.float32(share)) for share in clipped)
    if x0 >= x1 or y0 >= y1:
        return f"it lies outside the image {_show(corners)}"
    if raw.xmin > raw.xmax or raw.ymin > raw.ymax:
        mended["boxes_swapped"] += 1
    if any(abs(a - b) > slack[i % 2] for i, (a, b) in enumerate(zip(shares, clipped, strict=True))):
        mended["boxes_clipped"] += 1
    return x0, y0, x1, y1


def _show(corners: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in corners) + ")"


def _is_turned(annotated: tuple[int, int], facts: ImageFacts) -> bool:
    """Whether boxes were drawn on the image as stored, before EXIF turned it on its side."""
    shown = (facts.width, facts.height)
    return annotated == facts.stored_size and annotated != shown


def _size_fault(annotated: tuple[int, int], facts: ImageFacts) -> str:
    """Refuse an annotation whose image cannot have been this one, whatever its scale."""
    if annotated in {(facts.width, facts.height), facts.stored_size}:
        return ""
    ratio = annotated[0] / annotated[1] / (facts.width / facts.height)
    if abs(ratio - 1) <= _ASPECT_TOLERANCE:
        return ""
    return (
        f"its annotation is of a {annotated[0]}x{annotated[1]} image, "
        f"but it has {facts.width}x{facts.height} pixels"
    )


# How shares of the stored image move to the image as shown, by EXIF orientation
# (Exif 2.32, tag 274). Only those that swap width and height can be told apart by size.
_TURNS: dict[int, Callable[[float, float], tuple[float, float]]] = {
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}


def _turn(box: Corners, orientation: int) -> Corners:
    turn = _TURNS[orientation]
    (ax, ay), (bx, by) = turn(box[0], box[1]), turn(box[2], box[3])
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)
