"""Everything is counted, whatever the order of the rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from components.explore.config import ExploreSection
from components.explore.geometry import CELLS
from components.explore.material import shown_categories
from components.explore.partition import find_partitions
from components.explore.statistics import Statistics, count_together, gather
from components.shared.table import read_info

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]

LEFT = {"label": 0, "xmin": 0.0, "ymin": 0.0, "xmax": 0.5, "ymax": 0.25}
RIGHT = {"label": 1, "xmin": 0.5, "ymin": 0.5, "xmax": 1.0, "ymax": 1.0}


def _gather(paths: Any, **settings: Any) -> Statistics:
    info = read_info(paths.table)
    return gather(paths.table, info, find_partitions(paths.table), ExploreSection(**settings), 0)


def test_boxes_and_classes_are_counted_by_split(row: Row, write_data: WriteData) -> None:
    rows = [
        row(0, boxes=[LEFT, LEFT, RIGHT], split="train"),
        row(1, boxes=[LEFT], split="train"),
        row(2, boxes=[], split="val"),
    ]
    found = _gather(write_data(rows, "detect", ("cat", "dog", "owl")))
    assert found.splits.names == ("train", "val")
    assert found.images.tolist() == [2, 1]
    assert found.by_split == {(0, 0): 2, (0, 1): 1}
    assert found.categories() == {0: 2, 1: 1, 2: 0}
    assert found.boxes == {(0, 0): 3, (0, 1): 1}
    numbers = found.numbers.distribution()
    assert numbers.values.tolist() == [0, 1, 3]
    assert numbers.counts.tolist() == [[0, 1, 1], [1, 0, 0]]


def test_boxes_are_counted_by_place_size_and_shape(row: Row, write_data: WriteData) -> None:
    rows = [row(0, boxes=[LEFT, LEFT, RIGHT], width=400, height=200), row(1, boxes=[LEFT])]
    geometry = _gather(write_data(rows, "detect", ("cat", "dog"))).geometry
    assert geometry.centres[CELLS // 8, CELLS // 4] == 3  # a row is a height: ymin first
    assert geometry.shapes[CELLS // 4, CELLS // 2] == 3
    assert geometry.shapes[CELLS // 2, CELLS // 2] == 1
    for bins in (geometry.centres, geometry.shapes, geometry.areas, geometry.ratios):
        assert bins.sum() == 4
    # 20 x 7.5 pixels are small; 200 x 50 and 200 x 100 are large (over 96 x 96).
    assert geometry.sizes.tolist() == [[1, 0, 3]]
    middle = geometry.ratio_distribution()
    assert middle.values[middle.total.argmax()] == pytest.approx(4, rel=0.04)


def test_pairs_of_classes_are_counted_once_an_image(row: Row, write_data: WriteData) -> None:
    rows = [row(0, boxes=[LEFT, LEFT, RIGHT]), row(1, boxes=[LEFT]), row(2, boxes=[])]
    paths = write_data(rows, "detect", ("cat", "dog", "owl"))
    np.testing.assert_array_equal(
        count_together(paths.table, [1, 0, 2]), [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    )


def test_sizes_ratios_formats_and_missing_labels(row: Row, write_data: WriteData) -> None:
    rows = [row(0, label=0), row(1, label=None, width=80), row(2, label=0, format="jpeg")]
    found = _gather(write_data(rows, "classify", ("cat",)))
    widths, heights, counts = found.size_table()
    assert list(zip(widths, heights, counts[0], strict=True)) == [(40, 30, 2), (80, 30, 1)]
    assert found.size_distribution("ratio").values.tolist() == [40 / 30, 80 / 30]
    assert found.formats == {"png": 2, "jpeg": 1}
    assert found.unlabelled == 1


def test_labels_without_a_name_have_a_number(row: Row, write_data: WriteData) -> None:
    found = _gather(write_data([row(0, label=-1), row(1, label=3)], "classify", ("cat",)))
    assert found.categories() == {0: 0, -1: 1, 3: 1}
    assert [found.name(one) for one in (0, 3, -1)] == ["cat", "class 3", "class -1"]


def test_of_many_classes_the_most_and_least_frequent_show_examples(
    row: Row, write_data: WriteData
) -> None:
    rows = [row(10 * i + j, label=i) for i in range(9) for j in range(i + 1)]
    found = _gather(write_data(rows, "classify", tuple("abcdefghi")))
    assert shown_categories(found, 4) == [8, 7, 1, 0]
    assert shown_categories(found, 0) == []


def test_of_many_counts_some_evenly_spaced_show_examples(row: Row, write_data: WriteData) -> None:
    found = _gather(write_data([row(i, count=i) for i in range(9)], "count"))
    assert shown_categories(found, 3) == [0, 4, 8]
    assert shown_categories(found, 20) == list(range(9))
