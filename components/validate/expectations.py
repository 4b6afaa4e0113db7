"""Great Expectations' own expectations that a config may use, and their arguments.

A copy of names, held to the installed release by a test: the orchestrator checks configs with it
and has no Great Expectations.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from components.validate.names import unknown

# Whether it judges rows one by one, so that batches add up, or needs all rows at once.
Scope = Literal["rows", "whole"]


@dataclass(frozen=True)
class Form:
    """How an expectation is written.

    Attributes:
        scope: `rows` when it judges each row by itself, `whole` when it needs all rows.
        required: arguments without which it cannot run, or could not fail.
        optional: the others.
    """

    scope: Scope
    required: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        """All arguments."""
        return self.required + self.optional

    def missing(self, given: Collection[str]) -> str:
        """Say which arguments are missing; empty when there are enough to expect anything."""
        absent = [name for name in self.required if name not in given]
        if absent:
            return ", ".join(absent)
        bounds = ("min_value", "max_value")
        if bounds[0] in self.optional and not any(name in given for name in bounds):
            return " or ".join(bounds)
        return ""


_CONDITION: Final = ("row_condition", "condition_parser")
_RANGE: Final = ("min_value", "max_value", "strict_min", "strict_max")


def _rows(*required: str, optional: tuple[str, ...] = ()) -> Form:
    return Form("rows", ("column", *required), (*optional, "mostly", *_CONDITION))


def _ordered(*required: str, optional: tuple[str, ...] = ()) -> Form:
    """Judge rows by what other rows hold."""
    return Form("whole", ("column", *required), (*optional, "mostly", *_CONDITION))


def _pair(*required: str, optional: tuple[str, ...] = ()) -> Form:
    arguments = (*optional, "ignore_row_if", "mostly", *_CONDITION)
    return Form("rows", ("column_A", "column_B", *required), arguments)


def _several(scope: Scope, *required: str) -> Form:
    return Form(scope, ("column_list", *required), ("ignore_row_if", "mostly", *_CONDITION))


def _aggregate(*required: str, optional: tuple[str, ...] = ()) -> Form:
    return Form("whole", ("column", *required), (*optional, *_CONDITION))


FORMS: Final[dict[str, Form]] = {
    "expect_column_distinct_values_to_be_in_set": _aggregate("value_set"),
    "expect_column_distinct_values_to_contain_set": _aggregate("value_set"),
    "expect_column_distinct_values_to_equal_set": _aggregate("value_set"),
    "expect_column_kl_divergence_to_be_less_than": _aggregate(
        "partition_object", "threshold",
        optional=("internal_weight_holdout", "tail_weight_holdout", "bucketize_data"),
    ),
    "expect_column_max_to_be_between": _aggregate(optional=_RANGE),
    "expect_column_mean_to_be_between": _aggregate(optional=_RANGE),
    "expect_column_median_to_be_between": _aggregate(optional=_RANGE),
    "expect_column_min_to_be_between": _aggregate(optional=_RANGE),
    "expect_column_most_common_value_to_be_in_set": _aggregate(
        "value_set", optional=("ties_okay",)
    ),
    "expect_column_pair_values_a_to_be_greater_than_b": _pair(optional=("or_equal",)),
    "expect_column_pair_values_to_be_equal": _pair(),
    "expect_column_pair_values_to_be_in_set": _pair("value_pairs_set"),
    "expect_column_proportion_of_non_null_values_to_be_between": _aggregate(optional=_RANGE),
    "expect_column_proportion_of_unique_values_to_be_between": _aggregate(optional=_RANGE),
    "expect_column_quantile_values_to_be_between": _aggregate(
        "quantile_ranges", optional=("allow_relative_error",)
    ),
    "expect_column_stdev_to_be_between": _aggregate(optional=_RANGE),
    "expect_column_sum_to_be_between": _aggregate(optional=_RANGE),
    "expect_column_unique_value_count_to_be_between": _aggregate(optional=_RANGE),
    "expect_column_value_lengths_to_be_between": _rows(optional=_RANGE),
    "expect_column_value_lengths_to_equal": _rows("value"),
    "expect_column_value_z_scores_to_be_less_than": _ordered("threshold", "double_sided"),
    "expect_column_values_to_be_between": _rows(optional=_RANGE),
    "expect_column_values_to_be_dateutil_parseable": _rows(),
    "expect_column_values_to_be_decreasing": _ordered(optional=("strictly",)),
    "expect_column_values_to_be_in_set": _rows("value_set"),
    "expect_column_values_to_be_increasing": _ordered(optional=("strictly",)),
    "expect_column_values_to_be_json_parseable": _rows(),
    "expect_column_values_to_be_null": _rows(),
    "expect_column_values_to_be_unique": _ordered(),
    "expect_column_values_to_match_json_schema": _rows("json_schema"),
    "expect_column_values_to_match_regex": _rows("regex"),
    "expect_column_values_to_match_regex_list": _rows("regex_list", optional=("match_on",)),
    "expect_column_values_to_match_strftime_format": _rows("strftime_format"),
    "expect_column_values_to_not_be_in_set": _rows("value_set"),
    "expect_column_values_to_not_be_null": _rows(),
    "expect_column_values_to_not_be_outliers": _ordered(optional=("method", "multiplier")),
    "expect_column_values_to_not_match_regex": _rows("regex"),
    "expect_column_values_to_not_match_regex_list": _rows("regex_list"),
    "expect_compound_columns_to_be_unique": _several("whole"),
    "expect_multicolumn_sum_to_equal": _several("rows", "sum_total"),
    "expect_multicolumn_values_to_be_equal": _several("rows"),
    "expect_select_column_values_to_be_unique_within_record": _several("rows"),
    "expect_table_row_count_to_be_between": Form("whole", (), (*_RANGE, *_CONDITION)),
    "expect_table_row_count_to_equal": Form("whole", ("value",), _CONDITION),
}  # fmt: skip

_NEEDS_SQL: Final = "needs an SQL database; use expect_column_values_to_match_regex or another"
_FIXED: Final = "is about a table's columns and types, which are fixed here; expect values instead"
NOT_HERE: Final[dict[str, str]] = {
    "expect_column_to_exist": _FIXED,
    "expect_column_type_to_be": _FIXED,
    "expect_column_values_to_be_in_type_list": _FIXED,
    "expect_column_values_to_be_of_type": _FIXED,
    "expect_column_values_to_match_like_pattern": _NEEDS_SQL,
    "expect_column_values_to_match_like_pattern_list": _NEEDS_SQL,
    "expect_column_values_to_not_match_like_pattern": _NEEDS_SQL,
    "expect_column_values_to_not_match_like_pattern_list": _NEEDS_SQL,
    "expect_multicolumn_values_to_be_unique": (
        "is deprecated; use expect_select_column_values_to_be_unique_within_record"
    ),
    "expect_query_results_to_match_comparison": _NEEDS_SQL,
    "expect_table_column_count_to_be_between": _FIXED,
    "expect_table_column_count_to_equal": _FIXED,
    "expect_table_columns_to_match_ordered_list": _FIXED,
    "expect_table_columns_to_match_set": _FIXED,
    "expect_table_row_count_to_equal_other_table": _NEEDS_SQL,
}


def form_of(name: str) -> Form:
    """Return how the expectation of this name is written.

    Raises:
        ValueError: if there is none, or it cannot be used on the frames of this step.
    """
    if name in NOT_HERE:
        raise ValueError(f"'{name}' {NOT_HERE[name]}")
    if name not in FORMS:
        raise ValueError(unknown("expectation", name, FORMS))
    return FORMS[name]


def columns_in(arguments: dict[str, object]) -> list[str]:
    """Return the columns that an expectation's arguments name."""
    names = [arguments[key] for key in ("column", "column_A", "column_B") if key in arguments]
    several = arguments.get("column_list", [])
    return [str(name) for name in [*names, *(several if isinstance(several, list) else [several])]]
