"""Great Expectations, offline and silent: run expectations over frames, sum up what they found."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import great_expectations as gx
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.datasource.fluent.interfaces import Batch
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.expectations.registry import get_expectation_impl

from components.shared.errors import UserError
from components.validate.datadocs import DataDocs
from components.validate.frames import REPEATS, Frame
from components.validate.outcome import Outcome, add_examples, add_result, merged
from components.validate.suite import Check

_COUNTS: Final = {"result_format": "BASIC", "partial_unexpected_count": 20}
_LEVELS: Final = {"fail": FailureSeverity.CRITICAL, "warn": FailureSeverity.WARNING}


def run_checks(
    checks: list[Check], frames: Iterable[Frame], docs: Path, *, images: int, examples: int
) -> list[Outcome]:
    """Run every check on the frames of its kind and scope; write Great Expectations' data docs.

    Args:
        checks: what is expected.
        frames: what to check; each is dropped before the next is made.
        docs: folder for the data docs, with a page for each kind of frame.
        images: rows of the table.
        examples: offending values kept for each check, at most.

    Raises:
        UserError: if an expectation of the user cannot be run, for a wrong argument say.
    """
    site = DataDocs(docs)
    outcomes = {check.name: Outcome(check) for check in checks}
    kinds = list(dict.fromkeys(check.frame for check in checks))
    batches = {}
    for kind in kinds:
        site.add_suite(_suite(kind, [one for one in checks if one.frame == kind]))
        batches[kind] = _batch_definition(site, kind)
    suites = {
        (kind, scope): _suite(
            kind, [one for one in checks if (one.frame, one.scope) == (kind, scope)]
        )
        for kind, scope in {(one.frame, one.scope) for one in checks}
    }
    for frame in frames:
        suite = suites.get((frame.kind, frame.scope))
        if suite is None:
            continue
        batch = batches[frame.kind].get_batch({"dataframe": frame.data})
        broken = []
        for found in _validate(batch, suite, _COUNTS, checks):
            outcome = outcomes[_name(found)]
            _refuse_failure(outcome.check, found)
            if add_result(outcome, found, frame) and len(outcome.examples) < examples:
                broken.append(outcome.check)
        # Naming rows takes Great Expectations a hundred times as long as counting them.
        for found in _validate(batch, _suite(frame.kind, broken), _rows(examples), checks):
            add_examples(outcomes[_name(found)], found, examples)
    for one in outcomes.values():
        if one.check.scope.startswith(REPEATS):
            one.elements = images  # those that were not looked at are unique
    for kind in kinds:
        here = [one for one in outcomes.values() if one.check.frame == kind]
        site.add_results(kind, [merged(one) for one in here])
    site.write()
    return list(outcomes.values())


def _suite(name: str, checks: list[Check]) -> gx.ExpectationSuite:
    return gx.ExpectationSuite(name=name, expectations=[_build(one) for one in checks])


def _build(check: Check) -> Expectation:
    """Make Great Expectations' own expectation.

    Raises:
        UserError: if it refuses an argument of the user's.
    """
    arguments = dict(check.arguments)
    if isinstance(arguments.get("row_condition"), str):
        arguments.setdefault("condition_parser", "pandas")
    make = get_expectation_impl(check.expectation)
    try:
        return make(
            **arguments,
            severity=_LEVELS[check.severity],
            meta={"name": check.name},
            notes=[f"{check.name}: {check.meaning}"],
        )
    except (TypeError, ValueError) as error:
        if not check.key:
            raise
        raise UserError(
            f"{check.key}: {check.expectation} refuses its arguments: {error}"
        ) from None


def _batch_definition(site: DataDocs, kind: str) -> BatchDefinition[Any]:
    asset = site.context.data_sources.add_pandas(kind).add_dataframe_asset(kind)
    return asset.add_batch_definition_whole_dataframe("rows")


def _rows(examples: int) -> dict[str, Any]:
    return {
        "result_format": "SUMMARY",
        "unexpected_index_column_names": ["image_id"],
        "partial_unexpected_count": examples,
    }


def _name(found: ExpectationValidationResult) -> str:
    """Return the name that `_build` gave to the expectation of a result."""
    meta = found.expectation_config.meta if found.expectation_config else None
    return str((meta or {})["name"])


def _validate(
    batch: Batch, suite: gx.ExpectationSuite, form: dict[str, Any], checks: list[Check]
) -> list[ExpectationValidationResult]:
    """Run a suite.

    Raises:
        UserError: if Great Expectations stumbles over one of the user's own expectations without
            saying which.
    """
    if not suite.expectations:
        return []
    try:
        return list(batch.validate(suite, result_format=form).results)
    except Exception as error:
        names = {(one.meta or {})["name"] for one in suite.expectations}
        keys = [one.key for one in checks if one.key and one.name in names]
        if not keys:
            raise
        raise UserError(
            f"{' or '.join(keys)}: Great Expectations cannot run it "
            f"({type(error).__name__}: {_line(str(error))}); check its column and arguments"
        ) from error


def _refuse_failure(check: Check, found: ExpectationValidationResult) -> None:
    """Stop when the expectation itself failed.

    Raises:
        UserError: if the user wrote it: its arguments do not suit the values.
        RuntimeError: if it is a built-in one, which no data may make fail.
    """
    messages = _messages(found.exception_info or {})
    if not messages:
        return
    said = f"could not be run: {_line(messages[0])}"
    if check.key:
        raise UserError(f"{check.key}: {check.expectation} {said}; check its column and arguments")
    raise RuntimeError(f"expectation {check.name} {said}")


def _messages(info: dict[str, Any]) -> list[str]:
    """Return what went wrong; Great Expectations keeps it by metric, or for all."""
    if "raised_exception" in info:
        return [str(info["exception_message"])] if info["raised_exception"] else []
    return [text for one in info.values() if isinstance(one, dict) for text in _messages(one)]


def _line(text: str) -> str:
    return " ".join(text.split())
