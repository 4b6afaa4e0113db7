"""Thumbnails and drawn boxes."""

import numpy as np
from PIL import Image

from components.shared.report import DrawnBox, draw_boxes, thumbnail

RED = (255, 0, 0)


def _blank(width: int = 100, height: int = 100) -> Image.Image:
    return Image.new("RGB", (width, height), "white")


def _red(image: Image.Image) -> tuple[int, int, int, int]:
    """First and last red column and row."""
    rows, columns = np.nonzero((np.asarray(image) == RED).all(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_thumbnail_keeps_proportions_and_never_enlarges() -> None:
    assert thumbnail(_blank(400, 200), 100).size == (100, 50)
    assert thumbnail(_blank(40, 20), 100).size == (40, 20)
    assert thumbnail(Image.new("L", (10, 10)), 100).mode == "RGB"


def test_box_covers_its_pixels_and_no_more() -> None:
    # Half-open: from 0.2 to 0.6 of 100 pixels are pixels 20 to 59.
    drawn = draw_boxes(_blank(), [DrawnBox(0.2, 0.1, 0.6, 0.5, color="red")])
    assert _red(drawn) == (20, 10, 59, 49)
    assert drawn.getpixel((40, 30)) == (255, 255, 255)  # an outline, not filled


def test_boxes_are_normalized_so_they_shrink_with_the_image() -> None:
    box = DrawnBox(0.5, 0.0, 1.0, 1.0, color="red")
    assert _red(draw_boxes(_blank(1000, 500), [box], edge=100)) == (50, 0, 99, 49)


def test_dashed_box_has_the_same_corners_with_gaps() -> None:
    whole = draw_boxes(_blank(), [DrawnBox(0.2, 0.2, 0.8, 0.8, color="red")])
    dashed = draw_boxes(_blank(), [DrawnBox(0.2, 0.2, 0.8, 0.8, color="red", dashed=True)])
    red = [(np.asarray(one) == RED).all(axis=2) for one in (whole, dashed)]
    assert not (red[1] & ~red[0]).any()
    assert 0.3 < red[1].sum() / red[0].sum() < 0.8


def test_boxes_past_the_edge_stay_inside_the_image() -> None:
    drawn = draw_boxes(_blank(), [DrawnBox(-0.5, -0.5, 1.5, 1.5, color="red")])
    assert _red(drawn) == (0, 0, 99, 99)


def test_empty_box_is_still_visible() -> None:
    assert _red(draw_boxes(_blank(), [DrawnBox(0.5, 0.5, 0.5, 0.5, color="red")]))[:2] == (50, 50)


def test_label_is_drawn_inside_the_image_even_at_its_corner() -> None:
    box = DrawnBox(0.9, 0.0, 1.0, 0.1, label="aeroplane 0.93", color="red")
    drawn = draw_boxes(_blank(300, 300), [box])
    assert _red(drawn)[0] < 250  # moved left, where there is room


def test_original_is_not_changed() -> None:
    image = _blank()
    draw_boxes(image, [DrawnBox(0, 0, 1, 1, color="red")])
    assert image.getcolors() == [(10_000, (255, 255, 255))]
