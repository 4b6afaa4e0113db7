"""Reasons are counted by kind, though each names its own file and numbers."""

from pathlib import Path

from components.explore.rejected import OTHER, picture_of, read_rejected
from components.shared.table import Rejection, write_rejected

DOTS = "\N{HORIZONTAL ELLIPSIS}"


def test_the_most_frequent_kind_comes_first(tmp_path: Path) -> None:
    rows = [Rejection(f"{i}.jpg", f"not an image that can be read {i}.jpg") for i in range(6)]
    write_rejected(tmp_path / "rejected", [Rejection("x", "the file is empty"), *rows])
    found = read_rejected(tmp_path / "rejected")
    assert found.total == 7
    kind = f"not an image that can be read {DOTS}"
    assert found.by_frequency()[0] == (kind, 6)
    assert found.examples[kind] == rows[:4]
    assert [one.path for one in found.examples["the file is empty"]] == ["x"]


def test_rows_with_a_picture_are_the_examples(tmp_path: Path) -> None:
    rows = [Rejection(f"{i}", "too small", b"?" if i in (2, 7) else None) for i in range(9)]
    write_rejected(tmp_path / "rejected", rows)
    examples = read_rejected(tmp_path / "rejected").examples["too small"]
    assert [one.path for one in examples] == ["2", "7", "0", "1"]
    assert picture_of(examples[0]) is None  # it does not decode


def test_endless_kinds_are_bounded(tmp_path: Path) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    rows = [Rejection("x", f"class {a}{b} is unknown") for a in letters for b in letters]
    write_rejected(tmp_path / "rejected", rows)
    found = read_rejected(tmp_path / "rejected")
    assert found.total == len(rows)
    assert found.counts[OTHER] == len(rows) - 200
