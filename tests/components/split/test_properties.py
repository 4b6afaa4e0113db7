"""What holds for every table: no group straddles, nobody is lost, order does not matter."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.shared.table import TableInfo, iter_rows, write_rows
from components.split.assign import Groups, assign
from components.split.config import SplitSection
from components.split.split import split

CLASSES = ("a", "b", "c")


@st.composite
def tables(draw: st.DrawFn, at_least: int = 12) -> list[dict[str, Any]]:
    """Rows with labels and groups of the source."""
    number = draw(st.integers(at_least, at_least + 60))
    groups = draw(st.lists(st.integers(0, number), min_size=number, max_size=number))
    labels = draw(st.lists(st.integers(0, 2), min_size=number, max_size=number))
    return [
        {
            "image_id": f"{i:04d}", "sha256": f"{i:064x}", "width": 8, "height": 8,
            "format": "png", "group": f"g{group:04d}", "split": None, "label": label,
            "count": None, "boxes": None, "source": f"{i}.png", "attributes": {},
        }
        for i, (group, label) in enumerate(zip(groups, labels, strict=True))
    ]  # fmt: skip


def divide(rows: list[dict[str, Any]], seed: int, **changes: Any) -> list[dict[str, Any]]:
    section = SplitSection(near_duplicates=False, **changes)
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder) / "in.parquet", Path(folder) / "out.parquet"
        write_rows(table, rows, TableInfo("classify", CLASSES))
        split(section, "classify", seed, Path(folder), table, out, Path(folder) / "labels")
        return list(iter_rows(out))


@settings(max_examples=40, deadline=None)
@given(tables(), st.integers(0, 2**31), st.randoms(use_true_random=False))
def test_the_split_is_by_group_whole_and_independent_of_order(
    rows: list[dict[str, Any]], seed: int, random: Any
) -> None:
    if len({row["group"] for row in rows}) < 3:
        return
    found = divide(rows, seed)
    shuffled = list(rows)
    random.shuffle(shuffled)

    assert [row["image_id"] for row in found] == [row["image_id"] for row in rows]
    assert all(row["split"] in {"train", "val", "test"} for row in found)
    of_group: dict[str, set[str]] = {}
    for before, after in zip(rows, found, strict=True):
        of_group.setdefault(before["group"], set()).add(after["split"])
        assert after["group"] == before["group"]
    assert all(len(splits) == 1 for splits in of_group.values())

    again = {row["image_id"]: (row["split"], row["group"]) for row in divide(shuffled, seed)}
    assert again == {row["image_id"]: (row["split"], row["group"]) for row in found}


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(40, 150), st.integers(1, 6), st.integers(1, 4))
def test_shares_are_off_by_less_than_the_largest_group_and_an_image_a_class(
    data: st.DataObject, number: int, largest: int, classes: int
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    sizes = rng.integers(1, largest + 1, number)
    pairs = np.repeat(np.arange(number), sizes) * classes + rng.integers(0, classes, sizes.sum())
    pairs, counts = np.unique(pairs, return_counts=True)
    keys = rng.permutation(number).astype(np.uint64)
    groups = Groups(keys, sizes, pairs // classes, pairs % classes, counts)
    shares = (0.8, 0.1, 0.1)

    found = np.bincount(assign(groups, shares), sizes, minlength=3)

    assert found.sum() == sizes.sum()
    for images, share in zip(found.tolist(), shares, strict=True):
        assert images >= 1
        assert abs(images - share * sizes.sum()) <= sizes.max() + classes


@settings(max_examples=30, deadline=None)
@given(tables(at_least=110), st.integers(0, 2**31))
def test_groups_joined_through_id_blocks_do_not_straddle(
    rows: list[dict[str, Any]], seed: int
) -> None:
    # Every 35 ids begin both a block and a group: with random groups, all blocks would be one.
    rows = [row | {"group": f"g{int(row['image_id']) // 7}"} for row in rows]
    found = divide(rows, seed, id_block=5)
    for key in ("group", "block"):
        of_key: dict[str, set[str]] = {}
        for before, after in zip(rows, found, strict=True):
            value = before["group"] if key == "group" else str(int(before["image_id"]) // 5)
            of_key.setdefault(value, set()).add(after["split"])
        assert all(len(splits) == 1 for splits in of_key.values())


def test_singles_meet_the_shares_to_the_image() -> None:
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = [
        {
            "image_id": f"{i:04d}", "sha256": f"{i:064x}", "width": 8, "height": 8,
            "format": "png", "group": f"{i:04d}", "split": None, "label": label,
            "count": None, "boxes": None, "source": f"{i}.png", "attributes": {},
        }
        for i, label in enumerate(rng.integers(0, 3, 1000).tolist())
    ]  # fmt: skip
    counts = Counter(row["split"] for row in divide(rows, 5))
    assert abs(counts["train"] - 800) <= 2
    assert abs(counts["val"] - 100) <= 2
    assert abs(counts["test"] - 100) <= 2
