"""The explore step: right counts, a seeded sample, a page that opens anywhere."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.explore.config import ExploreSection
from components.explore.explore import explore
from components.explore.samples import draw_samples
from components.explore.statistics import CELLS, gather, summarize
from components.shared.table import read_info, write_rows

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]

LEFT = {"label": 0, "xmin": 0.0, "ymin": 0.0, "xmax": 0.5, "ymax": 0.25}
RIGHT = {"label": 1, "xmin": 0.5, "ymin": 0.5, "xmax": 1.0, "ymax": 1.0}


def run(paths: Any, seed: int = 0, **settings: Any) -> str:
    section = ExploreSection(**settings)
    task = read_info(paths.table).task
    explore(section, task, seed, paths.images, paths.table, paths.rejected, paths.report)
    page: str = paths.report.read_text()
    return page


def test_boxes_classes_and_pairs_are_counted(row: Row, write_data: WriteData) -> None:
    rows = [
        row(0, boxes=[LEFT, LEFT, RIGHT], attributes={"upstream_split": "train"}),
        row(1, boxes=[LEFT], attributes={"upstream_split": "train"}),
        row(2, boxes=[], attributes={"upstream_split": "val"}),
    ]
    paths = write_data(rows, "detect", ("cat", "dog", "owl"))

    found = gather(paths.table, read_info(paths.table))

    assert found.splits == {"train": 2, "val": 1}
    assert found.classes == {("train", 0): 2, ("train", 1): 1}
    assert found.images_of_class() == {0: 2, 1: 1, 2: 0}
    assert found.boxes_of_class == {0: 3, 1: 1}
    assert found.numbers == {("train", 3): 1, ("train", 1): 1, ("val", 0): 1}
    np.testing.assert_array_equal(found.together, [[2, 1, 0], [1, 1, 0], [0, 0, 0]])
    assert found.centres.sum() == found.shapes.sum() == found.areas.sum() == 4
    assert found.centres[CELLS // 8, CELLS // 4] == 3  # a row is a height: ymin first
    assert found.shapes[CELLS // 4, CELLS // 2] == 3
    assert found.shapes[CELLS // 2, CELLS // 2] == 1


def test_counts_are_summed_up_as_numpy_does() -> None:
    values = np.array([0, 1, 1, 2, 3, 5, 8, 13, 21])
    found = summarize(Counter(values.tolist()))
    assert found["images"] == 9
    assert found["mean"] == pytest.approx(values.mean())
    assert found["std"] == pytest.approx(values.std())
    quartiles = np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf")
    assert [found[key] for key in ("25 %", "median", "75 %")] == quartiles.tolist()
    assert (found["min"], found["max"]) == (0, 21)


def test_the_sample_depends_on_the_seed_alone(
    row: Row, write_data: WriteData, tmp_path: Path
) -> None:
    rows = [row(i, label=0) for i in range(50)]
    paths = write_data(rows, "classify", ("cat",))
    turned = tmp_path / "turned.parquet"
    write_rows(turned, reversed(rows), read_info(paths.table))

    def ids(table: Path, seed: int) -> list[str]:
        found = draw_samples(table, paths.images, 8, seed, 32)
        return [one.row["image_id"] for one in found]

    assert ids(paths.table, 1) == ids(turned, 1)
    assert ids(paths.table, 1) != ids(paths.table, 2)
    assert len(set(ids(paths.table, 1))) == 8


def test_brightness_is_measured(row: Row, write_data: WriteData) -> None:
    paths = write_data([row(i, label=0) for i in range(5)], "classify", ("cat",))
    for one in draw_samples(paths.table, paths.images, 5, 0, 32):
        shade = int(one.row["image_id"])
        assert one.brightness == pytest.approx(shade / 255, abs=1e-5)
        assert one.contrast == pytest.approx(0, abs=1e-5)
        assert one.darkest == one.brightest == shade


def test_the_page_of_each_task_shows_its_sections(row: Row, write_data: WriteData) -> None:
    detect = [row(i, boxes=[LEFT, RIGHT][: i % 3], width=40 + i) for i in range(12)]
    page = run(write_data(detect, "detect", ("cat", "dog"), [("x.jpg", "cannot be decoded: cut")]))
    for title in ("Sample", "Classes", "Boxes an image", "Boxes", "Sizes", "Set aside"):
        assert f">{title}</h2>" in page
    assert "Classes that occur together" in page
    assert "cannot be decoded" in page

    page = run(write_data([row(i, count=i % 4) for i in range(12)], "count"))
    assert ">Counts</h2>" in page
    assert ">Boxes</h2>" not in page
    assert "All images have 40x30 pixels" in page

    page = run(write_data([row(i, label=i % 2) for i in range(12)], "classify", ("cat", "dog")))
    assert ">Classes</h2>" in page
    assert ">Counts</h2>" not in page


def test_the_page_needs_nothing_else_and_is_light(row: Row, write_data: WriteData) -> None:
    classes = tuple(f"{i:03d}.Breed" for i in range(133))
    page = run(write_data([row(i, label=i % 133) for i in range(399)], "classify", classes))
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert "<script" not in page
    assert len(page) < 5_000_000
    assert "of 133 classes" in page


def test_unreadable_pictures_and_empty_tables_still_give_a_page(
    row: Row, write_data: WriteData
) -> None:
    paths = write_data([], "classify", ("cat",), [("a.jpg", "cannot be decoded: cut off")])
    assert "No picture could be drawn" in run(paths)


def test_the_same_seed_gives_the_same_page(row: Row, write_data: WriteData) -> None:
    paths = write_data([row(i, count=i % 4) for i in range(30)], "count")
    assert run(paths, seed=3) == run(paths, seed=3)
