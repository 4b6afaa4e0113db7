"""What the training images hold, before and after augmentation."""

from collections import Counter
from dataclasses import dataclass, field

from components.augment.rows import Row


@dataclass
class Counts:
    """Images and boxes, counted row by row.

    Attributes:
        images: all of them.
        boxes: all of them.
        images_of: images by class, or by count; in detection, those that show the class.
        boxes_of: boxes by class.
    """

    images: int = 0
    boxes: int = 0
    images_of: Counter[int] = field(default_factory=Counter)
    boxes_of: Counter[int] = field(default_factory=Counter)

    def add(self, row: Row) -> None:
        """Count one more image."""
        self.images += 1
        labels = [box["label"] for box in row["boxes"] or []]
        self.boxes += len(labels)
        self.boxes_of.update(labels)
        shown = {row["label"], *labels} if row["count"] is None else {row["count"]}
        self.images_of.update(shown - {None})


@dataclass
class Change:
    """Counts of the training images as they came, and of the copies made of them."""

    originals: Counts = field(default_factory=Counts)
    copies: Counts = field(default_factory=Counts)
