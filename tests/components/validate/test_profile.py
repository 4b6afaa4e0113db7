"""The profile: what it counts, and that it depends on data and seed alone."""

import base64
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from components.shared.errors import UserError
from components.shared.shards import ShardWriter
from components.shared.table import TableInfo, read_info, write_rows
from components.validate import facts, pixels, profile
from components.validate.histogram import Grid, Histogram
from components.validate.profile import Profile, measure, parse_profile

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]

# A PNG of one black pixel.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def box(label: int, edge: float) -> dict[str, Any]:
    return {"label": label, "xmin": 0.0, "ymin": 0.0, "xmax": edge, "ymax": edge}


def measured(paths: Any, seed: int = 0, samples: int = 100) -> Profile:
    inputs = paths.inputs
    return measure(inputs.table, inputs.images, read_info(inputs.table), seed, samples)


def test_boxes_are_counted_so_that_each_image_weighs_one(row: Row, write_data: WriteData) -> None:
    rows = [
        row(0, boxes=[box(0, 0.5)] * 3 + [box(1, 0.5)]),
        row(1, boxes=[box(1, 0.25)]),
        row(2, boxes=[]),
    ]
    found = measured(write_data(rows, "detect", ("cat", "dog", "owl")))
    assert found.weights == {"dog": 1.25, "cat": 0.75, "owl": 0}
    assert found.histograms["boxes"].counts == {0: 1, 1: 1, 4: 1}
    areas = found.histograms["box_area"]
    assert areas.total == 2
    assert (areas.lowest, areas.highest) == (0.0625, 0.25)


def test_counts_and_sizes(row: Row, write_data: WriteData) -> None:
    rows = [row(i, count=i % 3, width=100, height=50 * (1 + i % 2)) for i in range(12)]
    found = measured(write_data(rows, "count"))
    assert found.weights == {"0": 4, "1": 4, "2": 4}
    assert found.histograms["height"].total == 12
    assert found.histograms["width_over_height"].lowest == 1
    assert found.histograms["width_over_height"].highest == 2
    assert found.classes == ()
    assert "boxes" not in found.histograms


def test_brightness_and_contrast_are_those_of_the_pixels(row: Row, write_data: WriteData) -> None:
    rows = [row(i, label=0) for i in range(4)]
    found = measured(write_data(rows, "classify", ("cat",), shade=lambda i: 51 * (i + 1)))
    brightness = found.histograms["brightness"]
    assert (brightness.lowest, brightness.highest) == (0.2, 0.8)
    assert brightness.total == 4
    assert found.histograms["contrast"].highest == 0


def test_the_same_data_and_seed_give_the_same_text(
    row: Row, write_data: WriteData, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(i, boxes=[box(i % 3, 0.1 + i / 100)] * (i % 4)) for i in range(40)]
    paths = write_data(rows, "detect", ("cat", "dog", "owl"))
    first = measured(paths, samples=10).to_json()
    monkeypatch.setattr(facts, "BATCH", 7)
    write_rows(paths.inputs.table, iter(rows[::-1]), read_info(paths.inputs.table))
    assert measured(paths, samples=10).to_json() == first
    assert measured(paths, seed=1, samples=10).to_json() != first
    assert parse_profile(first, "here").to_json() == first


def test_a_smaller_sample_is_part_of_a_larger_one(row: Row, write_data: WriteData) -> None:
    table = write_data([row(i, label=0) for i in range(60)], "classify", ("cat",)).inputs.table
    small, large = (pixels.sample_ids(table, number, seed=3) for number in (10, 30))
    assert len(small) == 10
    assert small < large
    assert pixels.sample_ids(table, 10, seed=4) != small
    assert len(pixels.sample_ids(table, 100, seed=3)) == 60


def test_images_that_do_not_decode_are_left_out(row: Row, write_data: WriteData) -> None:
    rows = [row(i, label=0) for i in range(4)]
    paths = write_data(rows, "classify", ("cat",))
    with ShardWriter(paths.inputs.images) as writer:
        for number, data in enumerate([b"no image", b"", *[PICTURE] * 2]):
            writer.add(f"{number:04d}", data)
    assert measured(paths).histograms["brightness"].total == 2


def test_many_classes_keep_the_text_small(
    row: Row, write_data: WriteData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "NAMES", 3)
    names = tuple(f"class {i}" for i in range(5))
    rows = [row(i, label=label) for i, label in enumerate([0, 1, 1, 2, 2, 2, 3, 3, 4])]
    found = measured(write_data(rows, "classify", names))
    assert found.weights == {"class 2": 3, "class 1": 2, "class 3": 2}
    assert found.other_weight == 2
    assert not found.has_all_classes


def test_a_profile_of_500_classes_and_every_quantity_fits_a_parameter() -> None:
    everywhere = {
        name: Histogram.of(grid, np.random.default_rng(0).uniform(0, 300, 100_000))
        for name, grid in profile._GRIDS.items()
    }
    info = TableInfo("detect", tuple(f"n{i:08d} a class of a long name" for i in range(500)))
    weights = Counter(dict.fromkeys(range(500), 1000.123))
    text = profile._profile(info, 500_000, weights, everywhere).to_json()
    assert len(text) < 64 * 1024


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "version 1 .found none"),
        ('{"version": 2}', "version 1 .found 2"),
        ('{"version": 1, "task": "detect"}', "images: is required"),
    ],
)
def test_what_is_no_profile_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"^old\.json: is not a profile.*{message}"):
        parse_profile(text, "old.json")


def test_a_bin_outside_the_grid_is_refused(row: Row, write_data: WriteData) -> None:
    paths = write_data([row(0, label=0)], "classify", ("cat",))
    content = json.loads(measured(paths).to_json())
    content["histograms"]["width"]["counts"]["256"] = 1
    with pytest.raises(UserError, match=r"histograms\.width: a bin is outside the grid"):
        parse_profile(json.dumps(content), "old.json")


def test_histograms_count_ends_and_quantiles() -> None:
    grid = Grid(scale="log2", low=0, high=10, bins=10)
    found = Histogram.of(grid, np.array([0.5, 1, 2, 3, 1000, 5000, np.nan]))
    assert found.counts == {0: 2, 1: 2, 9: 2}
    both = found + Histogram.of(grid, np.array([8.0]))
    assert both.counts == {0: 2, 1: 2, 3: 1, 9: 2}
    assert (both.lowest, both.highest, both.total) == (0.5, 5000, 7)
    even = Histogram.of(Grid(scale="linear", low=0, high=10, bins=10), np.arange(0, 10, 0.1))
    assert even.quantile(0.25) == pytest.approx(2.5, abs=0.1)
    assert Histogram(grid=grid, counts={}).quantile(0.5) is None
