"""The colours of classes, and pictures with boxes drawn in them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from PIL import Image

from components.explore.statistics import Statistics
from components.shared.report import DrawnBox, Key, Picture, draw_boxes

# Okabe and Ito (2008): told apart with every common form of colour blindness. With dashes
# they serve twice; classes beyond that share gray.
_COLORS: Final = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
_REST: Final = "#bbbbbb"
_SMALL: Final = 256  # longest edge, pixels, below which a picture is enlarged to draw boxes
_NAMED: Final = 12  # boxes of a picture that bear their class's name; more would hide it


class Palette:
    """Gives each class a line: the most frequent have colours, then dashed ones."""

    def __init__(self, found: Statistics) -> None:
        self._found = found
        ranked = found.categories().most_common() if found.info.task == "detect" else []
        lines = [(color, dashed) for dashed in (False, True) for color in _COLORS]
        shown = [category for category, number in ranked if number]
        self._lines = dict(zip(shown, lines, strict=False))
        self._more = len(shown) > len(lines)

    def keys(self) -> list[Key]:
        """Return the legend."""
        keys = [Key(self._found.name(one), *line) for one, line in self._lines.items()]
        return [*keys, Key("other classes", _REST, dashed=True)] if self._more else keys

    def picture(
        self, image: Image.Image, row: Mapping[str, Any], prefix: str = "", *, words: bool = True
    ) -> Picture:
        """Return a picture with its boxes and a caption: what it shows, if asked, and its id."""
        drawn = list(self._boxes(row["boxes"] or ()))
        shows = describe(row, self._found)
        if drawn and max(image.size) < _SMALL:  # lines and names would hide it
            times = math.ceil(_SMALL / max(image.size))
            image = image.resize((image.width * times, image.height * times))
        shown = draw_boxes(image, drawn, max(image.size)) if drawn else image
        caption = f"{prefix}{shows}\n{row['image_id']}" if words else row["image_id"]
        return Picture(shown, f"{prefix}{row['image_id']}: {shows}", caption)

    def _boxes(self, boxes: Sequence[Mapping[str, Any]]) -> Iterable[DrawnBox]:
        """Yield lines; the first box of each class bears its name, as colour alone may not do."""
        named: set[int] = set()
        one_class = len(self._found.info.classes) <= 1
        for box in boxes:
            label = box["label"]
            color, dashed = self._lines.get(label, (_REST, True))
            new = not one_class and label not in named and len(named) < _NAMED
            named.add(label)
            corners = (box["xmin"], box["ymin"], box["xmax"], box["ymax"])
            name = self._found.name(label) if new else ""
            yield DrawnBox(*corners, label=name, color=color, dashed=dashed)


def describe(row: Mapping[str, Any], found: Statistics) -> str:
    """Say what the labels of a row say."""
    task = found.info.task
    if task == "detect":
        number = len(row["boxes"] or ())
        return "1 box" if number == 1 else f"{number} boxes"
    value = row["count"] if task == "count" else row["label"]
    if value is None:
        return "no label"
    if task == "classify":
        return found.name(value)
    return "1 object" if value == 1 else f"{value} objects"
