"""Great Expectations, offline and silent: run expectations over frames, sum up what they found."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import great_expectations as gx
import pandas as pd
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.core.validation_definition import ValidationDefinition
from great_expectations.data_context.data_context.ephemeral_data_context import (
    EphemeralDataContext,
)
from great_expectations.data_context.types.base import ProgressBarsConfig

from components.validate.frames import Frame
from components.validate.suite import Check

_DIFFERENT: Final = 10  # values named where smallest and largest say nothing


@dataclass
class Outcome:
    """What one expectation found, over all frames it was run on.

    Attributes:
        check: the expectation.
        unexpected_count: values that break it.
        examples: some of them, each with its `image_id` (or what stands for it) and value.
        values: smallest and largest value met, or the different ones of flags and names.
    """

    check: Check
    unexpected_count: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Whether it is met."""
        return self.unexpected_count == 0

    @property
    def observed(self) -> str:
        """The values met, in words."""
        if not self.values:
            return "none"
        if isinstance(self.values[0], bool | str):
            return ", ".join(str(value) for value in self.values)
        low, high = (f"{value:.6g}" for value in self.values)
        return low if low == high else f"{low} to {high}"

    def as_json(self) -> dict[str, Any]:
        """Return the outcome in the result file's form."""
        return {
            "name": self.check.name,
            "severity": self.check.severity,
            "success": self.success,
            "observed": self.observed,
            "unexpected_count": self.unexpected_count,
            "examples": self.examples,
        }


def run_checks(
    checks: list[Check], frames: Iterable[Frame], docs: Path, examples: int
) -> list[Outcome]:
    """Run every check on the frames of its kind; write Great Expectations' data docs.

    Args:
        checks: what is expected.
        frames: what to check; each is dropped before the next is made.
        docs: folder for the data docs, a page for each frame.
        examples: offending values kept for each check, at most.
    """
    context = _context(docs)
    outcomes = {check.name: Outcome(check) for check in checks}
    kinds = dict.fromkeys(check.frame for check in checks)
    definitions = {
        kind: _definition(context, kind, [one for one in checks if one.frame == kind])
        for kind in kinds
    }
    form = {
        "result_format": "SUMMARY",
        "unexpected_index_column_names": ["image_id"],
        "partial_unexpected_count": examples,
    }
    for frame in frames:
        if frame.data.empty:
            continue
        result = definitions[frame.kind].run(
            batch_parameters={"dataframe": frame.data},
            result_format=form,
            run_id=RunIdentifier(run_name=frame.part),
        )
        for found in result.results:
            outcome = outcomes[_name(found)]
            _add(outcome, found, examples)
            outcome.values = _values(outcome.values, frame.data[outcome.check.column])
    context.build_data_docs()
    return list(outcomes.values())


def _context(docs: Path) -> EphemeralDataContext:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.delete_data_docs_site("local_site")  # a folder of its own that nobody would find
    context.add_data_docs_site(
        "docs",
        {
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(docs.resolve()),
            },
        },
    )
    return context


def _definition(
    context: EphemeralDataContext, kind: str, checks: list[Check]
) -> ValidationDefinition:
    asset = context.data_sources.add_pandas(kind).add_dataframe_asset(kind)
    suite = gx.ExpectationSuite(name=kind, expectations=[one.expectation for one in checks])
    return context.validation_definitions.add(
        ValidationDefinition(
            name=kind,
            data=asset.add_batch_definition_whole_dataframe("rows"),
            suite=context.suites.add(suite),
        )
    )


def _name(found: Any) -> str:
    """Return the name that `suite` gave to the expectation of a result."""
    return str(found.expectation_config.meta["name"])


def _add(outcome: Outcome, found: Any, examples: int) -> None:
    """Add one frame's result.

    Raises:
        RuntimeError: if the expectation itself failed, which no data may cause.
    """
    if found.exception_info.get("raised_exception"):
        message = found.exception_info.get("exception_message")
        raise RuntimeError(f"expectation {outcome.check.name} could not be run: {message}")
    outcome.unexpected_count += int(found.result["unexpected_count"])
    for row in found.result.get("partial_unexpected_index_list") or []:
        if len(outcome.examples) >= examples:
            return
        value = row[outcome.check.column]
        outcome.examples.append(
            {"image_id": row["image_id"], "value": None if pd.isna(value) else value}
        )


def _values(met: list[Any], column: "pd.Series[Any]") -> list[Any]:
    """Widen the values met by those of a column."""
    present = column.dropna()
    if present.empty:
        return met
    if pd.api.types.is_bool_dtype(present.dtype) or not pd.api.types.is_numeric_dtype(
        present.dtype
    ):
        return sorted({*met, *present.unique().tolist()})[:_DIFFERENT]
    bounds = [*met, present.min(), present.max()]
    return [min(bounds), max(bounds)]
