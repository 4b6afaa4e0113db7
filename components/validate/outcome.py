"""What expectations found, summed over the frames that they were run on."""

from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd
from great_expectations.core.expectation_validation_result import ExpectationValidationResult

from components.validate.frames import REPEATS, Frame
from components.validate.suite import Check

_DIFFERENT: Final = 10  # values named where smallest and largest say nothing
_NAMED: Final = 3  # examples in a sentence; the result file has more
_SHOWN: Final = 24  # characters of a value in a sentence


@dataclass
class Outcome:
    """What one expectation found, over all frames it was run on.

    Attributes:
        check: the expectation.
        success: whether it is met.
        elements: rows it looked at.
        missing: rows among them without a value.
        unexpected_count: rows that break it; None where it judges all rows at once.
        examples: some of them, each with its `image_id` (or what stands for it) and value.
        values: smallest and largest value met, or the different names.
        whole: Great Expectations' result, where it judges all rows at once.
        config: the expectation as Great Expectations keeps it.
    """

    check: Check
    success: bool = True
    elements: int = 0
    missing: int = 0
    unexpected_count: int | None = 0
    examples: list[dict[str, Any]] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    whole: dict[str, Any] = field(default_factory=dict)
    config: Any = None

    @property
    def observed(self) -> str:
        """The values met, in words."""
        if self.whole:
            return _observed_at_once(self.whole)
        if self.check.scope.startswith(REPEATS):  # it was shown those that may repeat alone
            return f"{self.unexpected_count:,} of {self.elements:,}"
        if not self.values:
            return "none"
        if isinstance(self.values[0], str):
            return say(self.values)
        low, high = (f"{value:.6g}" for value in self.values)
        return low if low == high else f"{low} to {high}"

    @property
    def sentence(self) -> str:
        """What was expected, what was found, where, and what to do."""
        shown = ", ".join(f"{one['image_id']} ({self.show(one)})" for one in self.examples[:_NAMED])
        found = f"{self.unexpected_count:,} otherwise" if self.unexpected_count else self.observed
        return (
            f"{self.check.name}: expected that {self.check.meaning}; found {found}"
            f"{', e.g. ' if shown else ''}{shown}; {self.check.remedy}"
        )

    @staticmethod
    def show(example: dict[str, Any]) -> str:
        """Return an example's value, short enough for a sentence."""
        text = say(example["value"])
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}\N{HORIZONTAL ELLIPSIS}"

    def as_json(self) -> dict[str, Any]:
        """Return the outcome in the result file's form."""
        return {
            "name": self.check.name,
            "expectation": self.check.expectation,
            "on": self.check.frame,
            "severity": self.check.severity,
            "success": self.success,
            "observed": self.observed,
            "unexpected_count": self.unexpected_count,
            "examples": self.examples,
        }


def say(value: Any) -> str:
    """Return a value in words, numbers with six digits."""
    if value is None:
        return "missing"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {say(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        value = list(value)
        more = " and others" if len(value) > _DIFFERENT else ""
        return ", ".join(say(one) for one in value[:_DIFFERENT]) + more
    return str(value)


def _observed_at_once(result: dict[str, Any]) -> str:
    """Return what was measured, or which values of a set are too many or too few."""
    measured = [result["observed_value"]] if result.get("observed_value") is not None else []
    lists = {"not expected": "partial_unexpected_list", "missing": "partial_missing_list"}
    said = [f"{word}: {say(result[key])}" for word, key in lists.items() if result.get(key)]
    return "; ".join([*map(say, measured), *said]) or "as expected"


def add_result(outcome: Outcome, found: ExpectationValidationResult, frame: Frame) -> bool:
    """Add what was counted in one frame; return whether some row of it is unexpected."""
    outcome.config = found.expectation_config
    result = found.result
    if "element_count" not in result:  # it judges all rows at once, in one frame
        outcome.success = bool(found.success)
        outcome.unexpected_count = None
        outcome.whole = result
        return False
    outcome.elements += int(result["element_count"])
    outcome.missing += int(result.get("missing_count") or 0)
    outcome.unexpected_count = (outcome.unexpected_count or 0) + int(result["unexpected_count"])
    outcome.success = _mostly(outcome)
    columns = outcome.check.columns
    if len(columns) == 1 and not outcome.check.arguments.get("row_condition"):
        outcome.values = _values(outcome.values, frame.data[columns[0]])
    return int(result["unexpected_count"]) > 0


def add_examples(outcome: Outcome, found: ExpectationValidationResult, examples: int) -> None:
    """Add the rows that one frame's result names, up to `examples` in all."""
    columns = outcome.check.columns
    rows = found.result.get("partial_unexpected_index_list") or []
    for row in rows[: examples - len(outcome.examples)]:
        values = {name: None if pd.isna(row[name]) else row[name] for name in columns}
        value = values if len(columns) > 1 else values[columns[0]]
        outcome.examples.append({"image_id": row["image_id"], "value": value})


def _mostly(outcome: Outcome) -> bool:
    """Decide over all frames what Great Expectations decides for each: nulls do not count."""
    unexpected = outcome.unexpected_count or 0
    considered = outcome.elements - outcome.missing
    if not unexpected:
        return True
    mostly = outcome.check.arguments.get("mostly")
    enough = 1.0 if mostly is None else float(mostly)
    return considered > 0 and (considered - unexpected) / considered >= enough


def _values(met: list[Any], column: "pd.Series[Any]") -> list[Any]:
    """Widen the values met by those of a column."""
    present = column.dropna()
    if present.empty:
        return met
    if not pd.api.types.is_numeric_dtype(present.dtype):
        return sorted({*met, *present.unique().tolist()})[: _DIFFERENT + 1]
    bounds = [*met, present.min(), present.max()]
    return [min(bounds), max(bounds)]


def merged(outcome: Outcome) -> ExpectationValidationResult:
    """Return the outcome over all frames as if Great Expectations had seen them as one."""
    if outcome.unexpected_count is None:
        # Great Expectations' pages cannot show these counts without a share of the rows.
        lists = ("unexpected_count", "partial_unexpected_list")
        result = {key: value for key, value in outcome.whole.items() if key not in lists}
        if result.get("observed_value") is None:
            result["observed_value"] = outcome.observed
    else:
        considered = outcome.elements - outcome.missing
        share = 100 * outcome.unexpected_count / max(considered, 1)
        result = {
            "element_count": outcome.elements,
            "missing_count": outcome.missing,
            "missing_percent": 100 * outcome.missing / max(outcome.elements, 1),
            "unexpected_count": outcome.unexpected_count,
            "unexpected_percent": share,
            "unexpected_percent_nonmissing": share,
            "unexpected_percent_total": 100 * outcome.unexpected_count / max(outcome.elements, 1),
            "unexpected_index_column_names": ["image_id"],
            "partial_unexpected_list": [one["value"] for one in outcome.examples],
            "partial_unexpected_index_list": [
                {"image_id": one["image_id"], **_named_value(outcome.check, one["value"])}
                for one in outcome.examples
            ],
        }
    return ExpectationValidationResult(
        success=outcome.success, expectation_config=outcome.config, result=result
    )


def _named_value(check: Check, value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {check.columns[0]: value}
