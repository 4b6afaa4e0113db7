"""Self-contained HTML reports: verdict first, plots and pictures, numbers under them."""

from components.shared.report.drawing import DrawnBox, draw_boxes, thumbnail
from components.shared.report.report import Key, Kind, Picture, PictureSet, Report, Tile
from components.shared.report.svg import BAD, GOOD, MUTED, SERIES

__all__ = [
    "BAD",
    "GOOD",
    "MUTED",
    "SERIES",
    "DrawnBox",
    "Key",
    "Kind",
    "Picture",
    "PictureSet",
    "Report",
    "Tile",
    "draw_boxes",
    "thumbnail",
]
