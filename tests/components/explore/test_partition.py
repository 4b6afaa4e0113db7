"""How images are divided: by split, by the source's split, by folder."""

from collections.abc import Callable
from typing import Any

import pytest

from components.explore.partition import ALL, NO_SPLIT, OTHERS, find_partitions
from components.shared.table import iter_batches, iter_rows

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]


def test_splits_come_in_their_order_and_name_what_has_none(row: Row, write_data: WriteData) -> None:
    splits = ["test", "train", None, "val"]
    paths = write_data([row(i, count=0, split=one) for i, one in enumerate(splits)], "count")
    found = find_partitions(paths.table).splits
    assert (found.kind, found.names) == ("split", ("train", "val", "test", NO_SPLIT))
    (batch,) = iter_batches(paths.table)
    assert found.codes(batch).tolist() == [2, 0, 3, 1]
    assert [found.code(one) for one in iter_rows(paths.table)] == [2, 0, 3, 1]


def test_the_sources_splits_stand_in_where_there_are_none(row: Row, write_data: WriteData) -> None:
    rows = [row(0, count=0, attributes={"upstream_split": "validation"}), row(1, count=0)]
    found = find_partitions(write_data(rows, "count").table)
    assert (found.splits.kind, found.splits.names) == ("upstream", ("validation", NO_SPLIT))
    assert found.upstream.names == (ALL,)


def test_both_are_kept_where_there_are_both(row: Row, write_data: WriteData) -> None:
    rows = [row(0, count=0, split="test", attributes={"upstream_split": "train"})]
    found = find_partitions(write_data(rows, "count").table)
    assert (found.splits.names, found.upstream.names) == (("test",), ("train",))


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["train/data/a.jpg", "validation/data/b.jpg"], ("train", "validation")),
        (["dogs/train/x/a.jpg", "dogs/test/y/b.jpg"], ("dogs/test", "dogs/train")),
        (["cifar/test#0", "cifar/train#12"], ("cifar/test", "cifar/train")),
        (["images/a.jpg", "images/b.jpg"], ("images",)),
        (["a.jpg", "b.jpg"], ("",)),
        (["one/a.jpg", "b.jpg"], ("", "one")),
        (["p/a#1.jpg", "q/b.jpg"], ("p", "q")),
    ],
)
def test_sources_are_named_after_as_few_folders_as_tell_them_apart(
    row: Row, write_data: WriteData, sources: list[str], names: tuple[str, ...]
) -> None:
    rows = [row(i, count=0, source=one) for i, one in enumerate(sources)]
    paths = write_data(rows, "count")
    found = find_partitions(paths.table).sources
    assert found.names == names
    (batch,) = iter_batches(paths.table)
    if len(names) > 1:
        assert sorted(found.codes(batch).tolist()) == [0, 1]


def test_of_many_folders_the_largest_have_names(row: Row, write_data: WriteData) -> None:
    rows = [
        row(100 * i + j, count=0, source=f"{i:02d}/{j}.jpg")
        for i in range(12)
        for j in range(i + 1)
    ]
    paths = write_data(rows, "count")
    found = find_partitions(paths.table).sources
    assert found.names == (*(f"{i:02d}" for i in range(4, 12)), OTHERS)
    (batch,) = iter_batches(paths.table)
    assert (found.codes(batch) == 8).sum() == 1 + 2 + 3 + 4


def test_a_folder_for_each_image_is_bounded(
    row: Row, write_data: WriteData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.explore.partition._FOLDERS", 20)
    rows = [row(i, count=0, source=f"{i % 2}/{i}/deep/a.jpg") for i in range(50)]
    assert find_partitions(write_data(rows, "count").table).sources.names == ("0", "1")
