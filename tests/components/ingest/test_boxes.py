"""Boxes as annotated become boxes that hold, or are set aside with a reason."""

import io
import math
from typing import Any

import pytest
from PIL import Image

from components.ingest.boxes import Cleaned, clean_boxes
from components.ingest.records import RawBox, Record
from components.shared.images_io import ImageFacts, inspect_image, open_image

UPRIGHT = ImageFacts(200, 100, "jpeg", 1, (200, 100))


def _clean(
    corners: tuple[float, float, float, float], facts: ImageFacts = UPRIGHT, **settings: Any
) -> Cleaned:
    record = Record("a", "a.jpg", boxes=(RawBox(*("cat", *corners, "a.xml#object1")),), **settings)
    return clean_boxes(record, facts)


def _corners(cleaned: Cleaned) -> tuple[float, ...]:
    (box,) = cleaned.boxes
    return box.xmin, box.ymin, box.xmax, box.ymax


def test_voc_pixels_are_one_based_and_inclusive() -> None:
    assert _corners(_clean((1, 1, 200, 100), units="voc")) == (0, 0, 1, 1)
    assert _corners(_clean((51, 26, 100, 50), units="voc")) == (0.25, 0.25, 0.5, 0.5)


def test_pixels_are_zero_based_and_half_open() -> None:
    assert _corners(_clean((50, 25, 100, 50), units="pixels")) == (0.25, 0.25, 0.5, 0.5)


def test_inverted_corners_are_swapped_and_noted() -> None:
    cleaned = _clean((0.5, 0.75, 0.25, 0.5))
    assert _corners(cleaned) == (0.25, 0.5, 0.5, 0.75)
    assert cleaned.notes == {"boxes_swapped": "1"}


def test_a_box_reaching_outside_is_clipped_and_noted() -> None:
    cleaned = _clean((-0.25, 0.5, 0.5, 1.5))
    assert _corners(cleaned) == (0, 0.5, 0.5, 1)
    assert cleaned.notes == {"boxes_clipped": "1"}


def test_a_pixel_outside_is_rounding_and_not_noted() -> None:
    cleaned = _clean((0, 0, 200, 100), units="voc")
    assert _corners(cleaned) == (0, 0, 1, 1)
    assert cleaned.notes == {}


@pytest.mark.parametrize(
    ("corners", "reason"),
    [
        ((0.5, 0.5, 0.5, 0.75), "no area"),
        ((0.25, 0.5, 0.5, 0.5), "no area"),
        ((1.5, 0.5, 2.0, 0.75), "outside"),
        ((math.nan, 0.5, 0.75, 0.75), "not a number"),
        ((0.25, 0.5, math.inf, 0.75), "not a number"),
        ((0.5, 0.5, 0.5 + 1e-12, 0.75), "outside|no area"),  # no width left in float32
    ],
)
def test_a_box_that_cannot_be_used_is_set_aside(
    corners: tuple[float, float, float, float], reason: str
) -> None:
    cleaned = _clean(corners)
    assert cleaned.boxes == []
    ((origin, why),) = cleaned.rejected
    assert origin == "a.xml#object1"
    assert any(part in why for part in reason.split("|"))


def test_boxes_of_a_resized_copy_are_shares_of_it() -> None:
    cleaned = _clean((100, 50, 200, 100), units="pixels", annotated_size=(400, 200))
    assert _corners(cleaned) == (0.25, 0.25, 0.5, 0.5)
    assert cleaned.notes == {"annotated_size": "400x200"}


def test_an_annotation_of_another_shape_is_refused() -> None:
    cleaned = _clean((10, 10, 20, 20), units="voc", annotated_size=(300, 300))
    assert cleaned.boxes == []
    assert "300x300" in cleaned.fault


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_drawn_before_exif_turned_the_image_turn_with_it(orientation: int) -> None:
    """A marked corner of the stored image must be under its box in the image as shown."""
    stored = Image.new("RGB", (200, 100))
    stored.paste((255, 255, 255), (20, 10, 60, 40))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    facts = inspect_image(buffer.getvalue())
    assert (facts.width, facts.height) == (100, 200)

    xmin, ymin, xmax, ymax = _corners(
        _clean((20, 10, 60, 40), facts, units="pixels", annotated_size=(200, 100))
    )
    shown = open_image(buffer.getvalue()).convert("L").getbbox()
    assert shown == pytest.approx((xmin * 100, ymin * 200, xmax * 100, ymax * 200), abs=1e-4)


def test_a_box_stated_twice_counts_once_and_is_noted() -> None:
    boxes = (
        RawBox("cat", 0.25, 0.5, 0.5, 0.75, "a#1"),
        RawBox("cat", 0.5, 0.5, 0.25, 0.75, "a#2"),  # the same, with swapped corners
        RawBox("dog", 0.25, 0.5, 0.5, 0.75, "a#3"),  # of another class
        RawBox("cat", 0.25, 0.5, 0.5, 0.75, "a#4"),
    )
    cleaned = clean_boxes(Record("a", "a.jpg", boxes=boxes), UPRIGHT)
    assert [box.name for box in cleaned.boxes] == ["cat", "dog"]
    assert cleaned.notes == {"boxes_swapped": "1", "boxes_repeated": "2"}
    assert cleaned.rejected == []
