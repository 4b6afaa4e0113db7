"""The validation report: verdict, expectations, and what was set aside."""

from itertools import islice
from pathlib import Path
from typing import Final

from components.shared.report import Report, Tile
from components.shared.table import TableInfo
from components.validate.expect import Outcome
from components.validate.facts import Facts

_NAMED: Final = 3  # examples in a table's cell
_REASONS: Final = 50


def write_report(
    path: Path, info: TableInfo, facts: Facts, outcomes: list[Outcome], *, passed: bool
) -> None:
    """Write the validation report as one HTML file."""
    report = Report("Validation", f"{facts.images:,} images, task {info.task}")
    broken = [one for one in outcomes if not one.success]
    lines = [f"{one.check.name}: {one.check.meaning}. {one.check.remedy}." for one in broken]
    title = "The data can be used" if passed else "The data cannot be used as it is"
    report.banner(title, lines, "good" if passed else "bad")
    report.tiles(_tiles(facts, outcomes))
    report.section("Expectations", "A broken one of severity fail stops the run; warn only tells.")
    report.table(
        ["Expectation", "Meaning", "Severity", "Met", "Observed", "Unexpected", "Examples"],
        [_row(one) for one in sorted(outcomes, key=_worst_first)],
    )
    _add_rejected(report, facts)
    report.write(path)


def _tiles(facts: Facts, outcomes: list[Outcome]) -> list[Tile]:
    failed = sum(not one.success and one.check.severity == "fail" for one in outcomes)
    warned = sum(not one.success and one.check.severity == "warn" for one in outcomes)
    return [
        Tile("Expectations met", sum(one.success for one in outcomes), f"of {len(outcomes)}"),
        Tile("Failures", failed, "stop the run", "bad" if failed else "good"),
        Tile("Warnings", warned),
        Tile("Files set aside", facts.rejected_files, f"{facts.rejected_share:.1%} of all files"),
    ]


def _row(one: Outcome) -> list[object]:
    examples = ", ".join(f"{row['image_id']}: {row['value']}" for row in one.examples[:_NAMED])
    return [
        one.check.name, one.check.meaning, one.check.severity, one.success,
        one.observed, one.unexpected_count, examples,
    ]  # fmt: skip


def _worst_first(one: Outcome) -> tuple[bool, bool]:
    return one.success, one.check.severity != "fail"


def _add_rejected(report: Report, facts: Facts) -> None:
    report.section("Set aside", "What ingest could not use, by reason.")
    if not facts.rejected:
        report.note("Nothing was set aside.", "good")
        return
    rows = islice(facts.rejected.items(), _REASONS)
    rest = max(len(facts.rejected) - _REASONS, 0)
    report.table(["Reason", "Rows"], rows, f"{rest} more reasons" if rest else "")
