"""The validate step: each fault is found by its own expectation, and clean data passes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.shared.errors import UserError
from components.shared.table import read_info
from components.validate import facts
from components.validate.config import ValidateSection
from components.validate.validate import validate

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]

BOX = {"label": 0, "xmin": 0.1, "ymin": 0.1, "xmax": 0.5, "ymax": 0.5}


def run(paths: Any, **settings: Any) -> dict[str, dict[str, Any]]:
    """Validate; return the expectations by name."""
    task = read_info(paths.table).task
    section = ValidateSection(**settings)
    validate(section, task, paths.table, paths.rejected, paths.result, paths.docs, paths.report)
    return expectations(paths)


def expectations(paths: Any) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(paths.result.read_text())["expectations"]}


def broken(paths: Any) -> set[str]:
    return {name for name, one in expectations(paths).items() if not one["success"]}


@pytest.fixture
def detect_rows(row: Row) -> list[dict[str, Any]]:
    return [row(i, boxes=[BOX, BOX | {"label": 1}]) for i in range(20)]


@pytest.fixture
def classify_rows(row: Row) -> list[dict[str, Any]]:
    return [row(i, label=i % 2) for i in range(20)]


@pytest.fixture
def count_rows(row: Row) -> list[dict[str, Any]]:
    return [row(i, count=i % 4) for i in range(20)]


def test_clean_tables_of_every_task_pass(
    detect_rows: list[dict[str, Any]],
    classify_rows: list[dict[str, Any]],
    count_rows: list[dict[str, Any]],
    write_data: WriteData,
) -> None:
    for task, rows, classes in (
        ("detect", detect_rows, ("cat", "dog")),
        ("classify", classify_rows, ("cat", "dog")),
        ("count", count_rows, ()),
    ):
        paths = write_data(rows, task, classes)
        found = run(paths)
        assert all(one["success"] for one in found.values())
        assert json.loads(paths.result.read_text())["passed"] is True
        assert "The data can be used" in paths.report.read_text()
        assert (paths.docs / "index.html").is_file()


@pytest.mark.parametrize(
    ("change", "expectation", "value"),
    [
        ({"image_id": "0004"}, "image_id_unique", "0004"),
        ({"width": 7}, "shortest_edge", 7),
        ({"width": 2000}, "aspect_ratio", 25.0),
        ({"format": "bmp"}, "format_known", "bmp"),
        ({"boxes": None}, "boxes_present", None),
        ({"boxes": [BOX | {"label": 2}]}, "box_label_valid", 2),
        ({"boxes": [BOX | {"label": -1}]}, "box_label_valid", -1),
        ({"boxes": [BOX | {"xmin": -0.25}]}, "box_xmin_inside", -0.25),
        ({"boxes": [BOX | {"ymax": 1.25}]}, "box_ymax_inside", 1.25),
        ({"boxes": [BOX | {"xmin": 0.75, "xmax": 0.5}]}, "box_width_positive", -0.25),
        ({"boxes": [BOX | {"ymin": 0.5, "ymax": 0.5}]}, "box_height_positive", 0.0),
        ({"boxes": [BOX | {"xmin": 0, "xmax": 2**-12, "ymin": 0, "ymax": 2**-12}]},
         "box_area", 2**-24),
    ],
)  # fmt: skip
def test_a_fault_is_found_named_and_shown(
    change: dict[str, Any],
    expectation: str,
    value: object,
    detect_rows: list[dict[str, Any]],
    write_data: WriteData,
) -> None:
    detect_rows[3] |= change
    paths = write_data(detect_rows, "detect", ("cat", "dog"))

    with pytest.raises(UserError, match=expectation):
        run(paths)

    found = expectations(paths)[expectation]
    assert not found["success"]
    assert found["unexpected_count"] == (2 if expectation == "image_id_unique" else 1)
    example = found["examples"][0]
    assert example["image_id"] == detect_rows[3]["image_id"]
    assert example["value"] == value


@pytest.mark.parametrize(
    ("task", "label", "expectation"),
    [
        ("classify", {"label": None}, "label_present"),
        ("classify", {"label": 2}, "label_valid"),
        ("count", {"count": None}, "count_present"),
        ("count", {"count": -1}, "count_valid"),
    ],
)
def test_labels_are_there_and_known(
    task: str,
    label: dict[str, Any],
    expectation: str,
    classify_rows: list[dict[str, Any]],
    count_rows: list[dict[str, Any]],
    write_data: WriteData,
) -> None:
    rows = classify_rows if task == "classify" else count_rows
    rows[5] |= label
    paths = write_data(rows, task, ("cat", "dog") if task == "classify" else ())
    with pytest.raises(UserError, match=expectation):
        run(paths)
    assert expectations(paths)[expectation]["examples"][0]["image_id"] == "0005"


def test_equal_bytes_only_warn(
    classify_rows: list[dict[str, Any]],
    write_data: WriteData,
    capsys: pytest.CaptureFixture[str],
) -> None:
    classify_rows[1]["sha256"] = classify_rows[0]["sha256"]
    paths = write_data(classify_rows, "classify", ("cat", "dog"))
    found = run(paths)
    assert found["bytes_unique"]["severity"] == "warn"
    assert {one["image_id"] for one in found["bytes_unique"]["examples"]} == {"0000", "0001"}
    assert "warning: bytes_unique" in capsys.readouterr().out


def test_images_without_boxes_are_no_fault(
    detect_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    for one in detect_rows[:15]:
        one["boxes"] = []
    found = run(write_data(detect_rows, "detect", ("cat", "dog")))
    assert all(one["success"] for one in found.values())


def test_a_detection_table_without_any_box_is_refused(
    detect_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    for one in detect_rows:
        one["boxes"] = []
    paths = write_data(detect_rows, "detect", ("cat",))
    with pytest.raises(UserError, match="some image has a label, a count or a box"):
        run(paths)
    assert broken(paths) == {"annotated", "images_per_class"}


def test_one_class_is_enough_to_detect_but_not_to_classify(
    detect_rows: list[dict[str, Any]], classify_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    for one in detect_rows:
        one["boxes"] = [BOX]
    assert all(one["success"] for one in run(write_data(detect_rows, "detect", ("cat",))).values())
    for one in classify_rows:
        one["label"] = 0
    paths = write_data(classify_rows, "classify", ("cat",))
    with pytest.raises(UserError, match="there is nothing to tell apart"):
        run(paths)
    assert broken(paths) == {"several_classes", "class_share"}


def test_a_class_without_images_is_named(
    classify_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    paths = write_data(classify_rows, "classify", ("cat", "dog", "owl"))
    with pytest.raises(UserError, match=r"images_per_class: .*class 'owl' \(0\)"):
        run(paths)


def test_a_rare_count_only_warns(count_rows: list[dict[str, Any]], write_data: WriteData) -> None:
    count_rows[0]["count"] = 173
    found = run(write_data(count_rows, "count"))
    assert not found["images_per_class"]["success"]
    assert found["images_per_class"]["examples"] == [{"image_id": "class '173'", "value": 1}]


def test_an_empty_table_is_refused_with_all_outputs(write_data: WriteData) -> None:
    paths = write_data([], "classify", ("cat", "dog"), [("a.jpg", "cannot be decoded: cut off")])
    with pytest.raises(UserError, match="at least 10 images can be used"):
        run(paths)
    assert {"enough_images", "few_rejected", "annotated"} <= broken(paths)
    assert "cannot be decoded" in paths.report.read_text()
    assert (paths.docs / "index.html").is_file()


def test_the_share_set_aside_counts_files_not_boxes(
    classify_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    boxes = [(f"a.xml#object{i}", "box set aside: it has no area") for i in range(30)]
    files = [(f"{i}.jpg", "cannot be decoded: truncated") for i in range(5)]
    paths = write_data(classify_rows, "classify", ("cat", "dog"), boxes + files)
    assert run(paths)["few_rejected"]["observed"] == "0.2"
    with pytest.raises(UserError, match="few_rejected"):
        run(paths, max_rejected_share=0.19)


def test_batches_add_up(
    detect_rows: list[dict[str, Any]], write_data: WriteData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "BATCH", 7)
    for index in (2, 9, 16):
        detect_rows[index]["width"] = 3
    detect_rows[19]["image_id"] = detect_rows[0]["image_id"]  # in different batches
    paths = write_data(detect_rows, "detect", ("cat", "dog"))
    with pytest.raises(UserError, match="2 expectations are not met"):
        run(paths, examples=2, max_aspect_ratio=50)
    found = expectations(paths)
    assert found["shortest_edge"]["unexpected_count"] == 3
    assert [one["image_id"] for one in found["shortest_edge"]["examples"]] == ["0002", "0009"]
    assert found["shortest_edge"]["observed"] == "3 to 80"
    assert found["image_id_unique"]["unexpected_count"] == 2


def test_another_task_than_ingest_had_is_refused(
    count_rows: list[dict[str, Any]], write_data: WriteData, tmp_path: Path
) -> None:
    paths = write_data(count_rows, "count")
    outputs = (paths.result, paths.docs, paths.report)
    with pytest.raises(UserError, match="labels are for task 'count'"):
        validate(ValidateSection(), "detect", paths.table, paths.rejected, *outputs)
