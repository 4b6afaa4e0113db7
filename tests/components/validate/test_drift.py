"""Drift: halves of one dataset are alike, data that changed is not, and what then happens."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from components.shared.errors import UserError
from components.shared.table import read_info, write_rows
from components.shared.task import Task
from components.validate.config import DriftSection, ValidateSection
from components.validate.drift import BALANCE, Drift, aligned_weights, compare
from components.validate.names import BUILTIN
from components.validate.profile import Profile, measure
from components.validate.validate import validate

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]
CLASSES = ("cat", "dog", "owl")
LIMITS = DriftSection()
QUIET = {  # the other built-in expectations only take time here
    name: "off"
    for name, tasks in BUILTIN.items()
    if "classify" in tasks and not name.startswith("drift_")
}


@pytest.fixture
def rows(row: Row) -> list[dict[str, Any]]:
    """Six hundred images of several sizes, each with boxes of one class."""
    chance = np.random.default_rng(0)
    made = []
    for number in range(600):
        favourite = int(chance.choice(3, p=[0.6, 0.3, 0.1]))
        left, top = chance.uniform(0, 0.5, 2)
        edge = chance.uniform(0.05, 0.4)
        box = {
            "label": favourite,
            "xmin": left,
            "ymin": top,
            "xmax": left + edge,
            "ymax": top + edge,
        }
        boxes = [box] * int(chance.integers(1, 9))
        width, height = (int(chance.choice([300, 320, 480, 640])) for _ in range(2))
        made.append(row(number, boxes=boxes, width=width, height=height))
    return made


def moved(drift: Drift, limits: DriftSection = LIMITS) -> set[str]:
    """Return the quantities that are beyond a limit."""
    found = {row["image_id"]: row for row in map(drift._row, drift.measures)}
    return {
        name
        for name, row in found.items()
        if row["psi"] > limits.max_psi
        or (row["ks"] or 0) > limits.max_ks
        or (row["cramers_v"] or 0) > limits.max_cramers_v
    }


def profile_of(paths: Any, rows: list[dict[str, Any]], samples: int = 600) -> Profile:
    """Return the profile of some of the rows whose images were written."""
    info = read_info(paths.inputs.table)
    table = paths.folder / "part.parquet"
    write_rows(table, iter(rows), info)
    return measure(table, paths.inputs.images, info, 0, samples)


def test_two_halves_of_one_dataset_do_not_drift_for_fifty_seeds(
    rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    paths = write_data(rows, "detect", CLASSES, shade=lambda i: 60 + i * 37 % 90)
    for seed in range(50):
        chance = np.random.default_rng(seed)
        size = int(chance.choice([60, 120, 300]))  # small samples as well
        order = chance.permutation(len(rows))
        first = profile_of(paths, [rows[i] for i in order[:size]])
        second = profile_of(paths, [rows[i] for i in order[size : 2 * size]])
        assert moved(compare(first, second, LIMITS)) == set(), seed


def test_brighter_images_drift_in_brightness_alone(
    rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    dark = write_data(rows, "detect", CLASSES, shade=lambda i: 60 + i * 37 % 90, name="dark")
    light = write_data(rows, "detect", CLASSES, shade=lambda i: 80 + i * 37 % 90, name="light")
    drift = compare(profile_of(dark, rows[:300]), profile_of(light, rows[300:]), LIMITS)
    assert moved(drift) == {"brightness"}


def test_another_balance_of_classes_drifts(
    rows: list[dict[str, Any]], write_data: WriteData
) -> None:
    paths = write_data(rows, "detect", CLASSES, shade=lambda i: 60 + i * 37 % 90)
    half = rows[300:]
    cats = [one for one in half if one["boxes"][0]["label"] == 0]
    fewer = [one for one in half if one["boxes"][0]["label"] != 0] + cats[:60]
    drift = compare(profile_of(paths, rows[:300]), profile_of(paths, fewer), LIMITS)
    assert moved(drift) == {BALANCE}
    balance = drift.measures[0]
    assert (balance.before, balance.now) == (300, len(fewer))
    assert balance.cramers_v is not None
    assert balance.cramers_v > 0.15


@pytest.mark.parametrize(
    ("quantity", "change"),
    [
        ("width", lambda one: one | {"width": one["width"] * 2, "height": one["height"]}),
        ("boxes", lambda one: one | {"boxes": one["boxes"] * 2}),
        ("box_area", lambda one: one | {"boxes": [b | {"xmax": 1.0} for b in one["boxes"]]}),
    ],
)
def test_other_sizes_and_boxes_drift(
    quantity: str,
    change: Callable[[dict[str, Any]], dict[str, Any]],
    rows: list[dict[str, Any]],
    write_data: WriteData,
) -> None:
    paths = write_data(rows, "detect", CLASSES)
    before, now = rows[:300], [change(one) for one in rows[300:]]
    drift = compare(profile_of(paths, before, 0), profile_of(paths, now, 0), LIMITS)
    assert quantity in moved(drift)
    assert moved(drift) <= {quantity, "width_over_height"}


def test_classes_that_came_and_went_are_named(row: Row, write_data: WriteData) -> None:
    def profile(task: Task, classes: tuple[str, ...], key: str) -> Profile:
        rows = [row(i, **{key: i % 2}) for i in range(30)]
        return profile_of(write_data(rows, task, classes), rows, 0)

    before = profile("classify", ("cat", "dog"), "label")
    now = profile("classify", ("dog", "owl", "cow"), "label")
    changes = compare(before, now, LIMITS).classes
    assert changes == {"cat": "removed", "dog": "kept", "owl": "added", "cow": "added"}
    assert compare(before, before, LIMITS).classes == {"cat": "kept", "dog": "kept"}
    counted = profile("count", (), "count")
    assert compare(counted, counted, LIMITS).classes == {}


def test_a_profile_with_few_names_is_compared_on_these(row: Row, write_data: WriteData) -> None:
    rows = [row(i, label=i % 3) for i in range(30)]
    full = profile_of(write_data(rows, "classify", CLASSES), rows, 0)
    short = full.model_copy(
        update={"classes": ("cat",), "weights": {"cat": 10.0}, "other_weight": 20.0}
    )
    assert aligned_weights(short, full) == {"cat": (10, 10), "all others": (20, 20)}
    assert aligned_weights(full, short) == {"cat": (10, 10), "all others": (20, 20)}
    assert compare(short, full, LIMITS).classes == {"the list": "kept"}
    other = short.model_copy(update={"classes_digest": "0" * 64})
    assert compare(other, full, LIMITS).classes == {"the list": "changed"}


def test_what_cannot_be_compared_is_said(row: Row, write_data: WriteData) -> None:
    rows = [row(i, label=i % 3) for i in range(60)]
    paths = write_data(rows, "classify", CLASSES)
    before, now = profile_of(paths, rows, 0), profile_of(paths, rows, 60)
    drift = compare(before, now, LIMITS)
    assert drift.left_out == dict.fromkeys(
        ("brightness", "contrast"), "the earlier run has 0 values of it; 50 are needed"
    )
    few = compare(now, profile_of(paths, rows[:49], 60), LIMITS)
    assert few.measures == []
    assert few.left_out[BALANCE] == "this run has 49 values of it; 50 are needed"


class TestStep:
    """The whole step with an earlier profile."""

    @pytest.fixture
    def earlier(self, row: Row, write_data: WriteData) -> str:
        rows = [row(i, label=i % 2) for i in range(120)]
        return profile_of(write_data(rows, "classify", ("cat", "dog"), name="old"), rows).to_json()

    @pytest.fixture
    def changed(self, row: Row, write_data: WriteData) -> Any:
        """The same images but brighter, one class rarer, and a class more."""
        rows = [row(i, label=int(i % 8 == 0)) for i in range(120)]
        rows[5]["label"] = rows[6]["label"] = 2
        return write_data(rows, "classify", CLASSES, shade=lambda i: 100 + i % 128)

    def run(self, paths: Any, baseline: str, **settings: Any) -> dict[str, Any]:
        task = read_info(paths.inputs.table).task
        settings["expectations"] = QUIET | settings.get("expectations", {})
        section = ValidateSection.model_validate(settings)
        validate(section, task, 0, baseline, paths.inputs, paths.outputs)
        found: dict[str, Any] = json.loads(paths.outputs.result.read_text())
        return found

    def test_drift_warns_by_default(
        self, earlier: str, changed: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        result = self.run(changed, earlier)
        broken = {one["name"] for one in result["expectations"] if not one["success"]}
        assert broken == {"drift_classes", "drift_class_balance", "drift_psi", "drift_ks"}
        assert result["passed"]
        drift = result["drift"]
        assert drift["classes_added"] == ["owl"]
        assert drift["images_before"] == 120
        names = [one["name"] for one in drift["measures"]]
        assert names == [BALANCE, "width", "height", "width_over_height", "brightness", "contrast"]
        printed = capsys.readouterr().out
        assert "warning: drift_classes: expected that the list of classes" in printed
        assert "brightness (" in printed

    def test_the_report_lays_histograms_over_each_other(self, earlier: str, changed: Any) -> None:
        self.run(changed, earlier)
        page = changed.outputs.report.read_text()
        assert "against 120 images of an earlier run" in page
        assert "Histograms of brightness" in page
        assert page.count("earlier run</text>") == 6  # a legend in every plot
        assert "owl (added)" in page
        docs = (changed.outputs.docs / "expectations" / "drift.html").read_text()
        assert "population stability index" in docs

    def test_severity_is_set_for_all(self, earlier: str, changed: Any) -> None:
        with pytest.raises(UserError, match="4 expectations are not met"):
            self.run(changed, earlier, drift={"severity": "fail"})

    def test_severity_is_set_by_name(self, earlier: str, changed: Any) -> None:
        chosen = {"drift_classes": "fail", "drift_psi": "off"}
        with pytest.raises(UserError, match=r"drift_classes: .*class 'owl' \(added\)") as caught:
            self.run(changed, earlier, expectations=chosen)
        assert "1 expectation is not met" in str(caught.value)

    def test_a_comparison_can_be_switched_off(self, earlier: str, changed: Any) -> None:
        result = self.run(changed, earlier, drift={"severity": "off"})
        assert result["drift"] == {"compared": False, "reason": "validate.drift.severity is off"}

    def test_the_same_data_does_not_drift(self, changed: Any) -> None:
        first = self.run(changed, "")
        assert first["drift"] == {"compared": False, "reason": "there is no earlier profile"}
        profile = changed.outputs.profile.read_text()
        again = self.run(changed, profile, drift={"severity": "fail"})
        assert again["passed"]
        assert all(one["psi"] == 0 for one in again["drift"]["measures"])
        assert changed.outputs.profile.read_text() == profile

    def test_the_configs_profile_goes_before_the_runners(self, earlier: str, changed: Any) -> None:
        path = changed.folder / "accepted.json"
        path.write_text(earlier)
        self.run(changed, "")
        own = changed.outputs.profile.read_text()
        assert (
            self.run(changed, own, drift={"baseline": str(path)})["drift"]["images_before"] == 120
        )
        assert not self.run(changed, own)["drift"]["classes_added"]

    def test_a_profile_of_the_config_must_be_usable(self, earlier: str, changed: Any) -> None:
        path = changed.folder / "accepted.json"
        for text, message in (
            ("no profile", "is not a profile: not JSON"),
            (earlier.replace('"task":"classify"', '"task":"count"'), "it is of task 'count'"),
            (earlier.replace('"version":1', '"version":9'), "version 1 .found 9"),
        ):
            path.write_text(text)
            with pytest.raises(UserError, match=f"validate.drift.baseline: {path}: .*{message}"):
                self.run(changed, "", drift={"baseline": str(path)})

    def test_one_that_is_only_passed_on_does_not_stop_a_run(
        self, earlier: str, changed: Any
    ) -> None:
        result = self.run(changed, earlier.replace('"version":1', '"version":9'))
        assert not result["drift"]["compared"]
        assert "version 1 (found 9)" in result["drift"]["reason"]
        assert "version 1 (found 9)" in changed.outputs.report.read_text()


def test_counts_are_compared_as_classes_are(row: Row, write_data: WriteData) -> None:
    few = [row(i, count=i % 4) for i in range(200)]
    many = [row(i, count=i % 8) for i in range(200)]
    before = profile_of(write_data(few, "count", name="few"), few, 0)
    now = profile_of(write_data(many, "count", name="many"), many, 0)
    assert BALANCE in moved(compare(before, now, LIMITS))
    assert aligned_weights(before, now)["5"] == (0, 25)
