"""The user's own expectations, over batches and over all rows at once."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from components.shared.errors import UserError
from components.shared.table import read_info
from components.validate import facts, frames
from components.validate.config import ValidateSection
from components.validate.names import BUILTIN
from components.validate.validate import validate

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]

KEPT = ("image_id_unique", "bytes_unique")  # the other built-in ones only take time here
BOX = {"label": 0, "xmin": 0.1, "ymin": 0.1, "xmax": 0.5, "ymax": 0.5}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a table of a few rows take several batches."""
    monkeypatch.setattr(facts, "BATCH", 7)
    monkeypatch.setattr(frames, "BATCH", 7)


@pytest.fixture
def rows(row: Row) -> list[dict[str, Any]]:
    return [row(i, width=100 + i, boxes=[BOX, BOX | {"label": 1}]) for i in range(20)]


def run(paths: Any, *custom: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Validate with warnings only; return the outcomes by name."""
    task = read_info(paths.inputs.table).task
    chosen = [{"severity": "warn", **one} for one in custom]
    off = {name: "off" for name, tasks in BUILTIN.items() if task in tasks and name not in KEPT}
    section = ValidateSection.model_validate({"custom": chosen, "expectations": off})
    validate(section, task, 0, "", paths.inputs, paths.outputs)
    result = json.loads(paths.outputs.result.read_text())
    return {one["name"]: one for one in result["expectations"]}


def test_rows_are_judged_in_batches_and_counted_over_all(
    rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    wide = {"expectation": "expect_column_values_to_be_between", "column": "width"}
    found = run(
        write_data(rows, "detect", ("cat", "dog")),
        wide | {"name": "half", "min_value": 110},
        wide | {"name": "most", "min_value": 110, "mostly": 0.5},
        wide | {"name": "more", "min_value": 110, "mostly": 0.51},
        wide | {"name": "none", "min_value": 999, "mostly": 0},
    )
    assert [found[name]["unexpected_count"] for name in ("half", "most", "more")] == [10, 10, 10]
    assert [found[name]["success"] for name in ("half", "most", "more", "none")] == [
        False, True, False, True,
    ]  # fmt: skip
    assert found["half"]["observed"] == "100 to 119"
    assert [one["image_id"] for one in found["half"]["examples"]] == [f"{i:04d}" for i in range(10)]


def test_all_rows_at_once_are_all_rows(rows: list[dict[str, Any]], write_data: WriteData) -> None:
    found = run(
        write_data(rows, "detect", ("cat", "dog")),
        {"name": "mean", "expectation": "expect_column_mean_to_be_between", "column": "width",
         "max_value": 109},
        {"name": "rows", "expectation": "expect_table_row_count_to_equal", "value": 40,
         "on": "boxes"},
        {"name": "sorted", "expectation": "expect_column_values_to_be_increasing",
         "column": "width", "strictly": True},
        {"name": "large", "expectation": "expect_column_min_to_be_between",
         "column": "width_pixels", "on": "boxes", "min_value": 40, "max_value": 40.1},
    )  # fmt: skip
    assert found["mean"]["observed"] == "109.5"
    assert not found["mean"]["success"]
    assert found["mean"]["unexpected_count"] is None
    assert found["rows"]["success"]
    assert found["sorted"]["success"]
    assert found["large"]["success"]


@pytest.mark.parametrize("column", ["image_id", "sha256", "source", "group"])
def test_repeated_texts_are_found_in_whatever_batch_they_are(
    column: str, rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    unique = {"name": "unique", "expectation": "expect_column_values_to_be_unique"}
    for index in (3, 11, 19):
        rows[index][column] = rows[0][column]
    rows[12][column] = rows[5][column]
    if column == "image_id":  # which a built-in expectation of severity fail forbids
        with pytest.raises(UserError, match="found 6 otherwise"):
            run(write_data(rows, "detect", ("cat", "dog")), unique | {"column": column})
        return
    found = run(write_data(rows, "detect", ("cat", "dog")), unique | {"column": column})
    assert found["unique"]["unexpected_count"] == 6
    ids = {one["image_id"] for one in found["unique"]["examples"]}
    assert ids == {f"{i:04d}" for i in (0, 3, 5, 11, 12, 19)}


def test_every_text_repeated_is_counted_in_parts(
    rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    for index, one in enumerate(rows):
        one["group"] = f"group {index % 10}"  # twenty rows to look at, seven at a time
    unique = {"name": "unique", "expectation": "expect_column_values_to_be_unique"}
    found = run(write_data(rows, "detect", ("cat", "dog")), unique | {"column": "group"})
    assert found["unique"]["unexpected_count"] == 20


def test_texts_that_share_a_hash_are_told_apart(
    rows: list[dict[str, Any]], write_data: WriteData, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = facts._keys
    monkeypatch.setattr(facts, "_keys", lambda names: real(names) % 3)
    rows[12]["sha256"] = rows[5]["sha256"]
    found = run(write_data(rows, "detect", ("cat", "dog")))
    assert found["bytes_unique"]["unexpected_count"] == 2
    assert found["image_id_unique"]["unexpected_count"] == 0


def test_a_condition_chooses_rows(rows: list[dict[str, Any]], write_data: WriteData) -> None:
    found = run(
        write_data(rows, "detect", ("cat", "dog")),
        {"name": "tall", "expectation": "expect_column_values_to_be_between", "column": "height",
         "min_value": 90, "row_condition": "width >= 115"},
    )  # fmt: skip
    assert found["tall"]["unexpected_count"] == 5


def test_several_columns_and_the_other_frames(
    rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    found = run(
        write_data(rows, "detect", ("cat", "dog")),
        {"name": "landscape", "expectation": "expect_column_pair_values_to_be_equal",
         "column_A": "width", "column_B": "shortest_edge"},
        {"name": "names", "expectation": "expect_column_values_to_be_in_set", "on": "classes",
         "column": "class", "value_set": ["cat", "owl"]},
        {"name": "files", "expectation": "expect_column_values_to_be_between", "on": "dataset",
         "column": "rejected_files", "max_value": 0},
        {"name": "cats", "expectation": "expect_column_values_to_be_in_set", "on": "boxes",
         "column": "class", "value_set": ["cat"]},
    )  # fmt: skip
    first = found["landscape"]["examples"][0]
    assert first == {"image_id": "0000", "value": {"width": 100, "shortest_edge": 80}}
    assert found["names"]["examples"] == [{"image_id": "class 'dog'", "value": "dog"}]
    assert found["files"]["success"]
    assert found["cats"]["unexpected_count"] == 20


def test_severity_decides_whether_the_run_stops(
    rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    paths = write_data(rows, "detect", ("cat", "dog"))
    tall = {
        "name": "tall",
        "expectation": "expect_column_values_to_be_between",
        "column": "height",
        "min_value": 90,
    }
    assert not run(paths, tall | {"severity": "warn"})["tall"]["success"]
    with pytest.raises(UserError, match=r"tall: .*found 20 otherwise, e\.g\. 0000 \(80\)"):
        run(paths, tall | {"severity": "fail"})
