"""Check the image table against expectations; stop the run when one that matters is broken."""

import json
import os
from pathlib import Path
from typing import Any, Final

from components.shared.errors import UserError
from components.shared.table import read_info
from components.shared.task import Task
from components.validate.config import ValidateSection
from components.validate.expect import Outcome, run_checks
from components.validate.facts import gather
from components.validate.frames import frames
from components.validate.report import write_report
from components.validate.suite import checks

_NAMED: Final = 3  # examples in an error message; the result file has more
_SHOWN: Final = 24  # characters of a value in a message


def validate(
    section: ValidateSection,
    task: Task,
    table: Path,
    rejected: Path,
    result: Path,
    docs: Path,
    report: Path,
) -> None:
    """Check the table; write result, data docs and report, whether it passes or not.

    The result is JSON: `{"passed": bool, "expectations": [{"name", "severity" (fail or warn),
    "success", "observed", "unexpected_count", "examples": [{"image_id", "value"}]}]}`.

    Args:
        section: what is expected.
        task: what the labels are for.
        table: the image table.
        rejected: the table of what was set aside.
        result: JSON file to write.
        docs: folder for Great Expectations' data docs.
        report: HTML file to write.

    Raises:
        UserError: if an expectation of severity `fail` is not met; the message names each,
            with a count, examples and a remedy.
    """
    info = read_info(table)
    if info.task != task:
        raise UserError(
            f"{table}: its labels are for task '{info.task}', but the project's task is "
            f"'{task}'; run ingest again with this task"
        )
    facts = gather(table, rejected, task, info.classes)
    docs.mkdir(parents=True, exist_ok=True)
    found = run_checks(checks(section, info), frames(table, task, facts), docs, section.examples)
    broken = [one for one in found if not one.success and one.check.severity == "fail"]
    _write_json(result, {"passed": not broken, "expectations": [one.as_json() for one in found]})
    write_report(report, info, facts, found, passed=not broken)
    _print(found)
    if broken:
        raise UserError(_message(broken, report))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    aside.replace(path)


def _print(found: list[Outcome]) -> None:
    met = sum(one.success for one in found)
    print(f"validate: {met} of {len(found)} expectations met")
    for one in found:
        if not one.success and one.check.severity == "warn":
            print(f"validate: warning: {_line(one)}")


def _message(broken: list[Outcome], report: Path) -> str:
    lines = "\n".join(f"  {_line(one)}" for one in broken)
    number = "1 expectation is" if len(broken) == 1 else f"{len(broken)} expectations are"
    return f"validate: {number} not met:\n{lines}\n  report: {report}"


def _line(one: Outcome) -> str:
    """Say what was expected, what was found, where, and what to do."""
    examples = ", ".join(
        f"{row['image_id']} ({_show(row['value'])})" for row in one.examples[:_NAMED]
    )
    return (
        f"{one.check.name}: expected that {one.check.meaning}; found {one.unexpected_count:,} "
        f"otherwise, e.g. {examples}; {one.check.remedy}"
    )


def _show(value: Any) -> str:
    if value is None:
        return "missing"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}\N{HORIZONTAL ELLIPSIS}"
