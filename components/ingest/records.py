"""What a format says about an image, before anyone has looked at its pixels."""

import json
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Units = Literal[
    "normalized",  # shares of width and height
    "pixels",  # 0-based, half-open
    "voc",  # Pascal VOC's: 1-based, both ends inclusive
]


class RawBox(NamedTuple):
    """One box as its annotation states it; nothing has been checked yet.

    `origin` is where a person finds it, e.g. `Annotations/0001.xml#object2`.
    """

    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    origin: str


@dataclass(frozen=True, slots=True)
class Record:
    """One annotated image of a source.

    Attributes:
        image_id: unique, stable and readable.
        path: the image in the source.
        size: of the encoded image, in bytes; 0 when it is not known.
        label: class name, where the format gives one an image.
        count: number of objects, where the format states it.
        boxes: objects, where the format has boxes; empty when it says there are none.
        units: of the boxes' coordinates.
        annotated_size: width and height the annotation states; `voc` and `pixels` boxes are
            relative to it. None: those of the decoded image.
        attributes: what else is worth keeping, such as `upstream_split`.
        data: what the format's `load` needs beside the source, e.g. raw planes.
    """

    image_id: str
    path: str
    size: int = 0
    label: str | None = None
    count: int | None = None
    boxes: tuple[RawBox, ...] | None = None
    units: Units = "normalized"
    annotated_size: tuple[int, int] | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    data: bytes = b""

    def to_json(self) -> str:
        """Return everything but `data` as text."""
        return json.dumps(
            [
                self.image_id, self.path, self.size, self.label, self.count,
                self.boxes, self.units, self.annotated_size, self.attributes,
            ]
        )  # fmt: skip

    @classmethod
    def from_json(cls, text: str, data: bytes = b"") -> "Record":
        """Return the record that `to_json` wrote."""
        image_id, path, size, label, count, boxes, units, annotated, attributes = json.loads(text)
        return cls(
            image_id, path, size, label, count,
            None if boxes is None else tuple(RawBox(*box) for box in boxes),
            units,
            None if annotated is None else (annotated[0], annotated[1]),
            attributes, data,
        )  # fmt: skip
