"""Operations that would falsify a task's labels are refused with the reason."""

from typing import Any

import pytest
from pydantic import ValidationError

from components.shared.augmentation.config import OFF, Operations, alone, check_operations
from components.shared.errors import UserError
from components.shared.task import Task

SAFE_FOR_COUNTS: dict[str, Any] = {
    "horizontal_flip": 0.5, "vertical_flip": 0.5, "brightness": 0.2, "contrast": 0.2,
    "saturation": 0.2, "hue": 0.1, "grayscale": 0.1, "blur": 0.01, "noise": 0.1,
    "jpeg_quality": 50,
}  # fmt: skip
MOVED = {"rotate": 5, "translate": 0.1, "scale": 0.1, "shear": 5}


def test_every_operation_has_a_value_at_which_it_is_off() -> None:
    others = {"keep_whole", "min_visible"}
    assert set(OFF) | others == set(Operations.model_fields)
    assert Operations.model_validate(OFF).active() == []


@pytest.mark.parametrize("name", list(OFF))
def test_an_operation_alone_is_the_only_one_that_is_on(name: str) -> None:
    every = Operations(**{**SAFE_FOR_COUNTS, **MOVED}, crop_scale=0.5, pad=0.1, erasing=1, mosaic=1)
    assert alone(every, name).active() == [name]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"crop_scale": 0.9}, r"a\.crop_scale is 0\.9, but a crop can remove an item .* needs 1"),
        ({"pad": 0.1}, r"a\.pad is 0\.1, but a shift can remove an item .* needs 0"),
        ({"erasing": 0.2}, r"a\.erasing is 0\.2, but erasing can hide an item .* needs 0"),
        ({"mosaic": 0.2}, r"a\.mosaic: does not serve task 'count'"),
        ({"rotate": 5}, r"a\.rotate is 5, but what leaves the frame can remove .*keep_whole: true"),
        ({"translate": 0.1}, r"a\.translate is 0\.1, .*keep_whole: true"),
        ({"scale": 0.1}, r"a\.scale is 0\.1, .*keep_whole: true"),
        ({"shear": 5}, r"a\.shear is 5, .*keep_whole: true"),
    ],
)
def test_counting_refuses_what_can_remove_or_hide_an_item(
    settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        check_operations(Operations(**settings), "count", "a")


def test_counting_takes_all_that_leaves_every_item_in_the_picture() -> None:
    check_operations(Operations(**SAFE_FOR_COUNTS), "count", "a")
    check_operations(Operations(**SAFE_FOR_COUNTS, **MOVED, keep_whole=True), "count", "a")


@pytest.mark.parametrize(
    ("task", "settings", "reason"),
    [
        ("classify", {"mosaic": 0.1}, "mosaic: does not serve task 'classify'"),
        ("detect", {"pad": 0.1}, "pad: does not serve task 'detect', .* use translate"),
    ],
)
def test_what_a_task_would_ignore_is_refused(
    task: Task, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        check_operations(Operations(**settings), task, "a")


@pytest.mark.parametrize("task", ["classify", "detect"])
def test_other_tasks_take_the_rest(task: Task) -> None:
    check_operations(Operations(**SAFE_FOR_COUNTS, **MOVED, crop_scale=0.5, erasing=0.5), task, "a")


@pytest.mark.parametrize(
    "settings",
    [{"rotate": 181}, {"scale": 1}, {"jpeg_quality": 0}, {"hue": 0.6}, {"erasing": 1.1}],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Operations(**settings)
