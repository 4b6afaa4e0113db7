"""Reasons of one kind are told by what does not differ from file to file."""

import pytest

from components.shared.reasons import kind_of

DOTS = "\N{HORIZONTAL ELLIPSIS}"


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("annotation without image train/data/74.jpg", f"annotation without image {DOTS}"),
        ("annotation without image 74.jpg", f"annotation without image {DOTS}"),
        ("box set aside: it has no area (504, 337, 504, 337)", "box set aside: it has no area"),
        (
            "cannot be decoded: file is truncated (20 bytes not processed); A/9.xml is not used",
            f"cannot be decoded: file is truncated; {DOTS} is not used",
        ),
        (
            "cannot be decoded; 'Annotations/Anna Smith 1.xml' is not used either",
            f"cannot be decoded; {DOTS} is not used either",
        ),
        ("has 3 frames; one is expected", "has n frames; one is expected"),
        (
            "has 400,000,000 pixels (20000x20000); the limit is 100,000,000",
            "has n pixels; the limit is n",
        ),
        ("label 'b\"x' is not one of 20 classes", f"label {DOTS} is not one of n classes"),
        ("the file is empty", "the file is empty"),
    ],
)
def test_what_differs_from_row_to_row_is_left_out(reason: str, kind: str) -> None:
    assert kind_of(reason) == kind
