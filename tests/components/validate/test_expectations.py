"""Great Expectations' own expectations: the copy of their names, and that each of them works."""

from collections.abc import Callable
from typing import Any, get_args

import great_expectations.expectations as gxe
import pytest
from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    Expectation,
    MulticolumnMapExpectation,
)

from components.shared.errors import UserError
from components.shared.table import TableInfo, read_info
from components.shared.task import Task
from components.validate.config import CustomExpectation, ValidateSection
from components.validate.expectations import FORMS, NOT_HERE
from components.validate.names import BUILTIN
from components.validate.suite import checks
from components.validate.validate import validate

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]

# Arguments with which each expectation holds for forty images 100, 101, ... pixels wide.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "expect_column_distinct_values_to_be_in_set": {"column": "height", "value_set": [80]},
    "expect_column_distinct_values_to_contain_set": {"column": "width", "value_set": [110]},
    "expect_column_distinct_values_to_equal_set": {"column": "class", "value_set": ["cat", "dog"]},
    "expect_column_kl_divergence_to_be_less_than": {
        "column": "width",
        "partition_object": {"bins": [100, 120, 140], "weights": [0.5, 0.5]},
        "threshold": 0.1,
    },
    "expect_column_max_to_be_between": {"max_value": 139},
    "expect_column_mean_to_be_between": {"min_value": 119, "max_value": 120},
    "expect_column_median_to_be_between": {"min_value": 119, "max_value": 120},
    "expect_column_min_to_be_between": {"min_value": 100},
    "expect_column_most_common_value_to_be_in_set": {"column": "height", "value_set": [80]},
    "expect_column_pair_values_a_to_be_greater_than_b": {"column_A": "width", "column_B": "height"},
    "expect_column_pair_values_to_be_equal": {"column_A": "image_id", "column_B": "group"},
    "expect_column_pair_values_to_be_in_set": {
        "column_A": "label",
        "column_B": "class",
        "value_pairs_set": [[0, "cat"], [1, "dog"]],
    },
    "expect_column_proportion_of_non_null_values_to_be_between": {"min_value": 1},
    "expect_column_proportion_of_unique_values_to_be_between": {"min_value": 1},
    "expect_column_quantile_values_to_be_between": {
        "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[119, 120]]}
    },
    "expect_column_stdev_to_be_between": {"min_value": 11, "max_value": 12},
    "expect_column_sum_to_be_between": {"min_value": 4780, "max_value": 4780},
    "expect_column_unique_value_count_to_be_between": {"min_value": 40, "max_value": 40},
    "expect_column_value_lengths_to_be_between": {"column": "image_id", "min_value": 4},
    "expect_column_value_lengths_to_equal": {"column": "sha256", "value": 64},
    "expect_column_value_z_scores_to_be_less_than": {"threshold": 2, "double_sided": True},
    "expect_column_values_to_be_between": {"min_value": 100, "max_value": 139},
    "expect_column_values_to_be_dateutil_parseable": {"column": "image_id"},
    "expect_column_values_to_be_decreasing": {"column": "aspect_ratio"},
    "expect_column_values_to_be_in_set": {"column": "format", "value_set": ["jpeg"]},
    "expect_column_values_to_be_increasing": {"strictly": True},
    "expect_column_values_to_be_json_parseable": {"column": "group"},
    "expect_column_values_to_be_null": {"column": "class", "mostly": 0},
    "expect_column_values_to_be_unique": {"column": "source"},
    "expect_column_values_to_match_json_schema": {
        "column": "group",
        "json_schema": {"type": "integer"},
    },
    "expect_column_values_to_match_regex": {"column": "source", "regex": r"^\d+\.jpg$"},
    "expect_column_values_to_match_regex_list": {"column": "source", "regex_list": ["jpg$"]},
    "expect_column_values_to_match_strftime_format": {
        "column": "image_id",
        "strftime_format": "%Y",
    },
    "expect_column_values_to_not_be_in_set": {"value_set": [99]},
    "expect_column_values_to_not_be_null": {"column": "label"},
    "expect_column_values_to_not_be_outliers": {"multiplier": 3},
    "expect_column_values_to_not_match_regex": {"column": "source", "regex": "png$"},
    "expect_column_values_to_not_match_regex_list": {"column": "source", "regex_list": ["png$"]},
    "expect_compound_columns_to_be_unique": {"column_list": ["width", "height"]},
    "expect_multicolumn_sum_to_equal": {
        "column_list": ["shortest_edge", "height"],
        "sum_total": 160,
    },
    "expect_multicolumn_values_to_be_equal": {"column_list": ["shortest_edge", "height"]},
    "expect_select_column_values_to_be_unique_within_record": {"column_list": ["width", "height"]},
    "expect_table_row_count_to_be_between": {"min_value": 40, "max_value": 40},
    "expect_table_row_count_to_equal": {"value": 40},
}  # fmt: skip


def installed() -> dict[str, type[Expectation]]:
    """Return the expectations of the installed release, by name."""
    found = (getattr(gxe, name) for name in dir(gxe) if name.startswith("Expect"))
    return {one.expectation_type: one for one in found if one is not Expectation}


def arguments_of(expectation: type[Expectation]) -> set[str]:
    common = {*Expectation.__fields__, "batch_id", "library_metadata"}
    return {*expectation.__fields__} - common


def test_the_copy_of_names_and_arguments_is_the_installed_releases() -> None:
    found = installed()
    alias = {"expect_multicolumn_values_to_be_unique"}  # deprecated; it has no type of its own
    assert FORMS.keys() | NOT_HERE.keys() == (found.keys() - {""}) | alias
    assert not FORMS.keys() & NOT_HERE.keys()
    for name, form in FORMS.items():
        fields = found[name].__fields__
        assert set(form.arguments) <= arguments_of(found[name]), name
        assert {key for key, one in fields.items() if one.required} <= set(form.required), name


def test_only_expectations_about_single_rows_are_run_in_batches() -> None:
    by_rows = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
    for name, form in FORMS.items():
        assert form.scope == "whole" or issubclass(installed()[name], by_rows), name
        assert form.scope == "whole" or "unique" not in name or "within_record" in name, name


@pytest.mark.parametrize("task", get_args(Task))
def test_the_list_of_built_in_names_is_the_suites(task: Task) -> None:
    info = TableInfo(task, () if task == "count" else ("cat", "dog"))
    suite = {one.name for one in checks(ValidateSection(), info)}
    listed = {name for name, tasks in BUILTIN.items() if task in tasks}
    assert suite == {name for name in listed if not name.startswith("drift_")}


def test_every_expectation_can_be_used_and_holds_where_it_should(
    row: Row, write_data: WriteData
) -> None:
    assert ARGUMENTS.keys() == FORMS.keys()
    rows = [
        row(i, label=i % 2, width=100 + i, image_id=f"{1900 + i}", group=f"{1900 + i}")
        for i in range(40)
    ]
    rows.sort(key=lambda one: one["image_id"])
    custom = [
        {"name": name, "expectation": name}
        | ({"column": "width"} if "column" in FORMS[name].required else {})
        | arguments
        for name, arguments in ARGUMENTS.items()
    ]
    broken = {"expect_column_values_to_be_decreasing"}  # the ratio grows with the width
    paths = write_data(rows, "classify", ("cat", "dog"))
    with pytest.raises(UserError, match="1 expectation is not met") as caught:
        run(paths, custom)
    assert broken == {name for name in FORMS if f"  {name}: " in str(caught.value)}


@pytest.mark.parametrize(
    ("expectation", "arguments", "message"),
    [
        ("expect_column_mean_to_be_between", {"column": "format", "min_value": 1}, "mean"),
        ("expect_column_values_to_be_between", {"column": "format", "min_value": 1}, "same type"),
        ("expect_column_values_to_be_between", {"column": "width", "mostly": 7}, "mostly"),
        ("expect_column_values_to_match_regex", {"column": "source", "regex": "("}, "custom.0"),
        ("expect_column_values_to_be_between", {"column": "width", "row_condition": "nothing > 1"},
         "nothing"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_suit_the_column_are_explained(
    expectation: str, arguments: dict[str, Any], message: str, row: Row, write_data: WriteData
) -> None:
    paths = write_data([row(i, label=i % 2) for i in range(10)], "classify", ("cat", "dog"))
    one = {"name": "wrong", "expectation": expectation, "min_value": 1} | arguments
    if "regex" in one:
        del one["min_value"]
    with pytest.raises(UserError, match=r"validate\.custom\.0: ") as caught:
        run(paths, [one])
    assert message in str(caught.value)


def run(paths: Any, custom: list[dict[str, Any]]) -> None:
    info = read_info(paths.inputs.table)
    chosen = tuple(CustomExpectation.model_validate(one) for one in custom)
    section = ValidateSection(custom=chosen)
    validate(section, info.task, 0, "", paths.inputs, paths.outputs)
