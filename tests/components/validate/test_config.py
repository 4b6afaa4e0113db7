"""The section's names: known ones are accepted, others are refused with the nearest known."""

from typing import Any

import pytest
from pydantic import ValidationError

from components.shared.config import explain
from components.shared.errors import UserError
from components.shared.task import Task
from components.validate.config import ValidateSection, check_task

BETWEEN = "expect_column_values_to_be_between"


def refusal(settings: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        ValidateSection.model_validate(settings)
    return explain(caught.value, ValidateSection)


def custom(**changes: Any) -> dict[str, Any]:
    one = {"name": "wide", "expectation": BETWEEN, "column": "width", "min_value": 64}
    return {"custom": [one | changes]}


def test_off_and_on_need_no_quotes_in_yaml() -> None:
    # YAML 1.1 reads the word off as false, and the key on as true.
    wide = {"name": "wide", "expectation": BETWEEN, True: "boxes", "column": "width"}
    section = ValidateSection.model_validate(
        {
            "expectations": {"bytes_unique": "fail", "aspect_ratio": False},
            "custom": [wide | {"min_value": 0.1, "severity": "warn"}],
        }
    )
    assert section.expectations == {"bytes_unique": "fail", "aspect_ratio": "off"}
    (one,) = section.custom
    assert (one.on, one.severity) == ("boxes", "warn")
    assert one.arguments == {"column": "width", "min_value": 0.1}
    assert ValidateSection.from_json(section.model_dump_json()) == section


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"expectations": {"bytes_uniqe": "fail"}}, "did you mean 'bytes_unique'?"),
        ({"expectations": {"bytes_unique": "maybe"}}, "'fail', 'warn' or 'off'; got 'maybe'"),
        (custom(expectation=BETWEEN + "s"), f"did you mean '{BETWEEN}'?"),
        (custom(expectation="expect_column_to_exist"), "fixed here"),
        (custom(column="widht"), "unknown column of images 'widht'; did you mean 'width'?"),
        (custom(on="boxes", column="boxes"), "unknown column of boxes 'boxes'"),
        (custom(on="imges"), "'images', 'boxes', 'classes' or 'dataset'; got 'imges'"),
        (custom(min_valu=3), "did you mean 'min_value'?"),
        (custom(severity="off"), "'fail' or 'warn'; got 'off'"),
        (custom(min_value=None), f"{BETWEEN} needs min_value or max_value"),
        (custom(name="annotated"), "custom.0.name: 'annotated' is taken"),
        ({"custom": custom()["custom"] * 2}, "custom.1.name: 'wide' is taken"),
        (custom(name="Wide images"), "custom.0.name"),
        ({"drift": {"max_pis": 1}}, "drift.max_pis: unknown key; did you mean 'max_psi'?"),
    ],
)
def test_what_is_not_known_is_refused(settings: dict[str, Any], message: str) -> None:
    assert message in refusal(settings)


def test_an_expectation_that_could_not_fail_is_refused() -> None:
    settings = {"custom": [{"name": "any", "expectation": BETWEEN, "column": "width"}]}
    assert f"{BETWEEN} needs min_value or max_value" in refusal(settings)


@pytest.mark.parametrize(
    ("settings", "task", "message"),
    [
        ({"expectations": {"box_area": "off"}}, "classify", "expectations.box_area: it is for"),
        (custom(on="boxes"), "count", "custom.0.on: task count has no boxes"),
        (custom(column="count"), "detect", "images have no column 'count'"),
        (custom(column="label"), "count", "images have no column 'label'"),
    ],
)
def test_names_of_another_task_are_refused(
    settings: dict[str, Any], task: Task, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_task(ValidateSection.model_validate(settings), task)


def test_names_of_the_task_are_accepted() -> None:
    settings = {"expectations": {"box_area": "off"}, **custom(on="boxes")}
    check_task(ValidateSection.model_validate(settings), "detect")
