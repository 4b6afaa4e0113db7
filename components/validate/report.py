"""The validation report: verdict, expectations, drift, and what was set aside."""

from itertools import islice
from pathlib import Path
from typing import Final

from components.shared.report import Report, Tile
from components.shared.table import TableInfo
from components.validate.drift import DRIFT, DRIFT_CLASSES, Drift
from components.validate.facts import Facts
from components.validate.outcome import Outcome
from components.validate.report_drift import add_drift

_NAMED: Final = 3  # examples in a table's cell
_REASONS: Final = 50


def write_report(
    path: Path,
    info: TableInfo,
    facts: Facts,
    outcomes: list[Outcome],
    off: list[str],
    drift: Drift | str,
) -> None:
    """Write the validation report as one HTML file.

    Args:
        path: the file.
        info: task and classes of the table.
        facts: what was counted.
        outcomes: what each expectation found.
        off: expectations that are switched off.
        drift: the comparison with an earlier run, or why there is none.
    """
    report = Report("Validation", f"{facts.images:,} images, task {info.task}", contents=True)
    broken = [one for one in outcomes if not one.success]
    passed = all(one.check.severity != "fail" for one in broken)
    title = "The data can be used" if passed else "The data cannot be used as it is"
    lines = [one.sentence for one in broken]
    report.banner(title, lines, "good" if passed else "bad")
    report.tiles(_tiles(facts, outcomes, drift))
    report.section("Expectations", "A broken one of severity fail stops the run; warn only tells.")
    report.table(
        ["Expectation", "Severity", "Met", "Unexpected", "Meaning", "Observed", "Examples"],
        [_row(one) for one in sorted(outcomes, key=_worst_first)],
    )
    if off:
        report.note(f"Switched off in validate.expectations: {', '.join(off)}.")
    add_drift(report, drift)
    _add_rejected(report, facts)
    report.write(path)


def _tiles(facts: Facts, outcomes: list[Outcome], drift: Drift | str) -> list[Tile]:
    broken = [one for one in outcomes if not one.success]
    failed = sum(one.check.severity == "fail" for one in broken)
    warned = len(broken) - failed
    met = len(outcomes) - len(broken)
    return [
        Tile("Expectations met", met, f"of {len(outcomes)}"),
        Tile("Failures", failed, "stop the run", "bad" if failed else "good"),
        Tile("Warnings", warned),
        _drift_tile(broken, drift),
        Tile("Files set aside", facts.rejected_files, f"{facts.rejected_share:.1%} of all files"),
    ]


def _drift_tile(broken: list[Outcome], drift: Drift | str) -> Tile:
    if isinstance(drift, str):
        return Tile("Drift", None, "not compared")
    moved = any(one.check.frame in (DRIFT, DRIFT_CLASSES) for one in broken)
    against = f"against {drift.before.images:,} images of an earlier run"
    return Tile("Drift", "found" if moved else "none", against, "bad" if moved else "good")


def _row(one: Outcome) -> list[object]:
    examples = ", ".join(f"{row['image_id']}: {one.show(row)}" for row in one.examples[:_NAMED])
    return [
        one.check.name, one.check.severity, one.success, one.unexpected_count,
        one.check.meaning, one.observed, examples,
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
