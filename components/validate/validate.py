"""Check the image table against expectations; stop the run when one that matters is broken."""

import json
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from components.shared.errors import UserError
from components.shared.files import write_text
from components.shared.table import TableInfo, read_info
from components.shared.task import Task
from components.validate.baseline import earlier_profile
from components.validate.config import ValidateSection, check_task
from components.validate.drift import Drift, compare, drift_checks
from components.validate.expect import run_checks
from components.validate.facts import Facts, gather
from components.validate.frames import REPEATS, frames
from components.validate.outcome import Outcome
from components.validate.profile import Profile, measure
from components.validate.report import write_report
from components.validate.suite import Check, checks, needed_columns


@dataclass(frozen=True)
class Inputs:
    """What the step reads: the folder of shards, the image table, and what was set aside."""

    images: Path
    table: Path
    rejected: Path


@dataclass(frozen=True)
class Outputs:
    """What the step writes: JSON, a folder of data docs, HTML, and JSON."""

    result: Path
    docs: Path
    report: Path
    profile: Path


def validate(
    section: ValidateSection,
    task: Task,
    seed: int,
    baseline: str,
    inputs: Inputs,
    outputs: Outputs,
) -> None:
    """Check the table; write result, data docs, report and profile, whether it passes or not.

    The result is JSON: `{"passed": bool, "expectations": [{"name", "expectation", "on",
    "severity" (fail or warn), "success", "observed", "unexpected_count" (null where all rows are
    judged at once), "examples": [{"image_id", "value"}]}], "off": [names], "drift": {"compared":
    bool, …}}`.

    Args:
        section: what is expected.
        task: what the labels are for.
        seed: decides whose pixels are measured.
        baseline: the text of an earlier run's profile; empty when there is none.
        inputs: what to read.
        outputs: where to write.

    Raises:
        UserError: if an expectation of severity `fail` is not met; the message names each,
            with a count, examples and a remedy. Or if the config names what is not there.
    """
    info = _info(inputs.table, task)
    check_task(section, task)
    now = measure(inputs.table, inputs.images, info, seed, section.drift.pixel_samples)
    write_text(outputs.profile, now.to_json())
    drift, alone = _drift(section, baseline, now)
    further = drift_checks(section.drift, drift) if drift else []
    expected = checks(section, info, further)
    facts, found = _run(section, info, expected, drift, inputs, outputs)
    broken = [one for one in found if not one.success and one.check.severity == "fail"]
    off = [one.name for one in expected if one.severity == "off"]
    result = {
        "passed": not broken,
        "expectations": [one.as_json() for one in found],
        "off": off,
        "drift": drift.as_json() if drift else {"compared": False, "reason": alone},
    }
    write_text(outputs.result, json.dumps(result, indent=2) + "\n")
    write_report(outputs.report, info, facts, found, off, drift or alone)
    _print(found, off, drift, alone)
    if broken:
        raise UserError(_message(broken, outputs.report))


def _info(table: Path, task: Task) -> TableInfo:
    info = read_info(table)
    if info.task != task:
        raise UserError(
            f"{table}: its labels are for task '{info.task}', but the project's task is "
            f"'{task}'; run ingest again with this task"
        )
    return info


def _drift(section: ValidateSection, baseline: str, now: Profile) -> tuple[Drift | None, str]:
    """Compare with the earlier profile; without one, say why not."""
    before, alone = earlier_profile(section.drift, baseline, now)
    return (compare(before, now, section.drift) if before else None), alone


def _run(
    section: ValidateSection,
    info: TableInfo,
    expected: list[Check],
    drift: Drift | None,
    inputs: Inputs,
    outputs: Outputs,
) -> tuple[Facts, list[Outcome]]:
    """Run what is not switched off."""
    chosen = [one for one in expected if one.severity != "off"]
    needed = needed_columns(chosen)
    unique = [scope.removeprefix(REPEATS) for _, scope in needed if scope.startswith(REPEATS)]
    facts = gather(inputs.table, inputs.rejected, info.task, info.classes, unique)
    every = chain(frames(inputs.table, info, facts, needed), drift.frames() if drift else ())
    found = run_checks(chosen, every, outputs.docs, images=facts.images, examples=section.examples)
    return facts, found


def _print(found: list[Outcome], off: list[str], drift: Drift | None, alone: str) -> None:
    met = sum(one.success for one in found)
    print(f"validate: {met} of {len(found)} expectations met")
    if off:
        print(f"validate: switched off: {', '.join(off)}")
    for one in found:
        if not one.success and one.check.severity == "warn":
            print(f"validate: warning: {one.sentence}")
    if drift is None:
        print(f"validate: not compared with an earlier run: {alone}")


def _message(broken: list[Outcome], report: Path) -> str:
    lines = "\n".join(f"  {one.sentence}" for one in broken)
    number = "1 expectation is" if len(broken) == 1 else f"{len(broken)} expectations are"
    return f"validate: {number} not met:\n{lines}\n  report: {report}"
