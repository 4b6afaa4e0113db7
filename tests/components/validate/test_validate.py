"""The validate step: each fault is found by its own expectation, and clean data passes."""

import json
from collections.abc import Callable
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


def run(paths: Any, baseline: str = "", **settings: Any) -> dict[str, dict[str, Any]]:
    """Validate; return the expectations by name."""
    task = read_info(paths.inputs.table).task
    section = ValidateSection.model_validate(settings)
    validate(section, task, 0, baseline, paths.inputs, paths.outputs)
    return expectations(paths)


def expectations(paths: Any) -> dict[str, dict[str, Any]]:
    result = json.loads(paths.outputs.result.read_text())
    return {one["name"]: one for one in result["expectations"]}


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
        assert json.loads(paths.outputs.result.read_text())["passed"] is True
        assert "The data can be used" in paths.outputs.report.read_text()
        assert (paths.outputs.docs / "index.html").is_file()


FAULTS: list[tuple[dict[str, Any], str, object]] = [
    ({"image_id": "0019"}, "image_id_unique", "0019"),
    ({"width": 7}, "shortest_edge", 7),
    ({"width": 2000}, "aspect_ratio", 25.0),
    ({"format": "bmp"}, "format_known", "bmp"),
    ({"boxes": None}, "boxes_present", None),
    ({"boxes": [BOX | {"label": 2}]}, "box_label_valid", 2),
    ({"boxes": [BOX | {"xmin": -0.25}]}, "box_xmin_inside", -0.25),
    ({"boxes": [BOX | {"ymax": 1.25}]}, "box_ymax_inside", 1.25),
    ({"boxes": [BOX | {"xmin": 0.75, "xmax": 0.5}]}, "box_width_positive", -0.25),
    ({"boxes": [BOX | {"ymin": 0.5, "ymax": 0.5}]}, "box_height_positive", 0.0),
    ({"boxes": [BOX | {"xmin": 0, "xmax": 2**-12, "ymin": 0, "ymax": 2**-12}]},
     "box_area", 2**-24),
]  # fmt: skip


def test_every_fault_is_found_by_its_own_expectation_named_and_shown(
    detect_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    for one, (change, _, _) in zip(detect_rows, FAULTS, strict=False):
        one.update(change)
    paths = write_data(detect_rows, "detect", ("cat", "dog"))

    with pytest.raises(UserError) as caught:
        run(paths)

    found = expectations(paths)
    for one, (_, name, value) in zip(detect_rows, FAULTS, strict=False):
        assert f"  {name}: expected that " in str(caught.value)
        assert {"image_id": one["image_id"], "value": value} in found[name]["examples"], name
    assert found["image_id_unique"]["unexpected_count"] == 2
    assert found["shortest_edge"]["unexpected_count"] == 1


@pytest.mark.parametrize(
    ("task", "name", "wrong"), [("classify", "label", 2), ("classify", "label", -1),
                                ("count", "count", -1), ("count", "count", 2**31 - 1)],
)  # fmt: skip
def test_labels_are_there_and_known(
    task: str,
    name: str,
    wrong: int,
    classify_rows: list[dict[str, Any]],
    count_rows: list[dict[str, Any]],
    write_data: WriteData,
) -> None:
    rows = classify_rows if task == "classify" else count_rows
    rows[5][name] = None
    rows[6][name] = wrong
    paths = write_data(rows, task, ("cat", "dog") if task == "classify" else ())
    with pytest.raises(UserError, match=f"{name}_present"):
        run(paths)
    found = expectations(paths)
    assert found[f"{name}_present"]["examples"] == [{"image_id": "0005", "value": None}]
    assert found[f"{name}_valid"]["examples"] == [{"image_id": "0006", "value": wrong}]


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


def test_the_same_bytes_under_two_labels_are_shown_with_both(
    classify_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    for copy, original in ((3, 0), (4, 0), (9, 7)):  # cat, dog; then the same label twice
        classify_rows[copy]["sha256"] = classify_rows[original]["sha256"]
    found = run(write_data(classify_rows, "classify", ("cat", "dog")))
    conflict = found["same_bytes_same_label"]
    assert conflict["severity"] == "warn"
    assert conflict["examples"] == [
        {"image_id": name, "value": "cat or dog"} for name in ("0000", "0003", "0004")
    ]
    assert found["bytes_unique"]["unexpected_count"] == 5


def test_the_order_of_boxes_is_no_difference_but_their_place_is(
    detect_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    for index in range(1, 4):
        detect_rows[index]["sha256"] = detect_rows[0]["sha256"]
    detect_rows[1]["boxes"] = detect_rows[0]["boxes"][::-1]
    paths = write_data(detect_rows, "detect", ("cat", "dog"))
    assert run(paths)["same_bytes_same_label"]["success"]
    detect_rows[3]["boxes"] = [BOX]
    paths = write_data(detect_rows, "detect", ("cat", "dog"), name="other")
    conflict = run(paths)["same_bytes_same_label"]
    assert conflict["unexpected_count"] == 4
    assert conflict["examples"][0]["value"] == "1 box or 2 boxes"


def test_a_box_that_stands_twice_warns(
    detect_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    detect_rows[4]["boxes"] = [BOX, BOX | {"xmax": 0.6}, BOX]
    found = run(write_data(detect_rows, "detect", ("cat", "dog")))["box_unique"]
    assert (found["severity"], found["unexpected_count"]) == ("warn", 2)
    assert {one["image_id"] for one in found["examples"]} == {"0004"}


def test_severities_change_by_name(
    classify_rows: list[dict[str, Any]],
    write_data: WriteData,
    capsys: pytest.CaptureFixture[str],
) -> None:
    classify_rows[1]["sha256"] = classify_rows[3]["sha256"]
    classify_rows[2]["width"] = 5
    classify_rows[2]["height"] = 500
    paths = write_data(classify_rows, "classify", ("cat", "dog"))
    chosen = {"bytes_unique": "fail", "aspect_ratio": "off", "shortest_edge": "warn"}
    with pytest.raises(UserError, match="bytes_unique") as caught:
        run(paths, expectations=chosen)
    assert "1 expectation is not met" in str(caught.value)
    result = json.loads(paths.outputs.result.read_text())
    assert result["off"] == ["aspect_ratio"]
    assert "aspect_ratio" not in expectations(paths)
    assert "Switched off in validate.expectations: aspect_ratio" in paths.outputs.report.read_text()
    printed = capsys.readouterr().out
    assert "switched off: aspect_ratio" in printed
    assert "warning: shortest_edge" in printed


def test_names_of_another_task_are_refused_at_the_start(
    classify_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    paths = write_data(classify_rows, "classify", ("cat", "dog"))
    with pytest.raises(UserError, match=r"expectations\.box_area: it is for task detect"):
        run(paths, expectations={"box_area": "off"})


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
    assert "cannot be decoded" in paths.outputs.report.read_text()
    assert (paths.outputs.docs / "index.html").is_file()


def test_the_share_set_aside_counts_files_not_boxes(
    classify_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    boxes = [(f"a.xml#object{i}", "box set aside: it has no area") for i in range(30)]
    files = [(f"{i}.jpg", "cannot be decoded: truncated") for i in range(5)]
    paths = write_data(classify_rows, "classify", ("cat", "dog"), boxes + files)
    assert run(paths)["few_rejected"]["observed"] == "0.2"
    with pytest.raises(UserError, match="few_rejected"):
        run(paths, max_rejected_share=0.19)


def test_an_images_own_name_may_hold_the_sign_of_a_lists_row(
    classify_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    images = [(f"scan #{i}.jpg", "cannot be decoded: truncated") for i in range(3)]
    rows = [(f"detections.csv#row{i}", "its image is not in the source") for i in range(30)]
    asked = [("ids.csv#7", "the source has no annotated image of this id")]
    paths = write_data(classify_rows, "classify", ("cat", "dog"), images + rows + asked)
    assert run(paths)["few_rejected"]["observed"] == "0.2"  # five beside twenty


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
    count_rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    paths = write_data(count_rows, "count")
    with pytest.raises(UserError, match="labels are for task 'count'"):
        validate(ValidateSection(), "detect", 0, "", paths.inputs, paths.outputs)
