"""Ids, contents, groups: how many there are, and whether splits share them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from components.explore.choose import hashes
from components.explore.identity import Identities, Sets
from components.explore.partition import find_partitions
from components.explore.rows import members
from components.shared.hashing import hash64
from components.shared.table import iter_batches

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]


def _collect(paths: Any, without: int | None = None) -> Identities:
    splits = find_partitions(paths.table).splits
    found = Identities(len(splits), without)
    for batch in iter_batches(paths.table):
        found.add(batch, hashes(batch["image_id"].to_pylist()), splits.codes(batch))
    return found


def _grouped(row: Row, groups: Sequence[str], splits: Sequence[str | None]) -> list[dict[str, Any]]:
    pairs = zip(groups, splits, strict=True)
    return [row(i, count=0, group=group, split=split) for i, (group, split) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("groups", "splits", "leaking"),
    [
        ("aab", ["train", "train", "val"], ""),
        ("aba", ["train", "val", "val"], "a"),
        ("abcabc", ["train", "val", "test", "val", "val", "train"], "ac"),
        ("aab", ["train", None, "val"], ""),
        ("aaa", ["test", None, "train"], "a"),
    ],
)
def test_groups_in_several_splits_leak(
    row: Row, write_data: WriteData, groups: str, splits: list[str | None], leaking: str
) -> None:
    names = sorted({one for one in splits if one})
    found = _collect(
        write_data(_grouped(row, groups, splits), "count"),
        len(names) if None in splits else None,
    ).groups()
    assert sorted(found.leaking.tolist()) == sorted(hash64(one) for one in leaking)
    assert found.sizes.sum() == len(groups)


def test_ids_contents_and_near_duplicates(row: Row, write_data: WriteData) -> None:
    rows = [row(i, count=0) for i in range(5)]
    rows[1]["sha256"] = rows[2]["sha256"]
    rows[4]["image_id"] = rows[0]["image_id"]
    for i in (0, 3):
        rows[i]["attributes"] = {"near_duplicates": "0000"}
    found = _collect(write_data(rows, "count"))
    assert found.distinct_ids() == 4
    assert found.contents().repeated == 1
    assert found.near_duplicates().sizes.tolist() == [2]


def test_the_largest_sets_come_first_and_single_images_are_none() -> None:
    sets = Sets(np.arange(4, dtype=np.uint64), np.array([2, 1, 5, 2]), np.zeros(4, bool))
    assert sets.largest(2).tolist() == [2, 0]
    assert sets.largest(9).tolist() == [2, 0, 3]
    assert sets.largest(0).tolist() == []


def test_members_are_those_with_the_smallest_ids(row: Row, write_data: WriteData) -> None:
    rows = _grouped(row, "abababa", ["train"] * 7)
    paths = write_data(rows[::-1], "count")
    found = members(paths.table, "group", hashes(["b", "a"]), 3)
    assert [[one["image_id"] for one in some] for some in found.values()] == [
        ["0001", "0003", "0005"],
        ["0000", "0002", "0004"],
    ]
