"""What an image's attributes say about its annotation: what was mended, and what to know of it."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

# By attribute. The value of a `boxes_...` attribute is a number of boxes.
PHRASES: Final = {
    "annotated_size": "images whose annotation states another size or none (boxes fitted)",
    "boxes_clipped": "boxes that reached outside their image were clipped",
    "boxes_repeated": "boxes that repeated another one's class and corners were dropped",
    "boxes_swapped": "boxes had their corners swapped",
    "boxes_turned": "images whose boxes were turned with the EXIF orientation",
    "converted_from": "images were converted to PNG",
    "group_of": "images have group-of or crowd boxes, which are left out",
    "quantity_sum": "images whose items do not sum to EXPECTED_QUANTITY, which is their count",
}
_COUNTED: Final = ("boxes_clipped", "boxes_repeated", "boxes_swapped")


def count_notes(attributes: Mapping[str, str]) -> Counter[str]:
    """Return what one image's attributes add to each note's number."""
    return Counter(
        {
            key: int(attributes[key]) if key in _COUNTED else 1
            for key in PHRASES.keys() & attributes.keys()
        }
    )
