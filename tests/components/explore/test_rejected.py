"""Reasons are counted by kind, though each names its own file and numbers."""

from pathlib import Path

import pytest

from components.explore.rejected import OTHER, kind_of, read_rejected
from components.shared.table import write_rejected

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


def test_the_most_frequent_kind_comes_first(tmp_path: Path) -> None:
    rows = [(f"{i}.jpg", f"not an image that can be read {i}.jpg") for i in range(6)]
    write_rejected(tmp_path / "rejected", [("x", "the file is empty"), *rows])
    found = read_rejected(tmp_path / "rejected")
    assert found.total == 7
    assert found.by_frequency()[0] == (f"not an image that can be read {DOTS}", 6)
    assert [one.row for one in found.examples["the file is empty"]] == [0]
    assert len(found.examples[found.by_frequency()[0][0]]) == 4


def test_endless_kinds_are_bounded(tmp_path: Path) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    rows = [("x", f"class {a}{b} is unknown") for a in letters for b in letters]
    write_rejected(tmp_path / "rejected", rows)
    found = read_rejected(tmp_path / "rejected")
    assert found.total == len(rows)
    assert found.counts[OTHER] == len(rows) - 200
