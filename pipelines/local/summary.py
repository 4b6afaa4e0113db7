"""`summary.json`: what a run did, for scripts."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from components.evaluate.names import HEADLINES
from components.shared.files import write_text
from pipelines.config import Project
from pipelines.local.journal import StepRecord

RunStatus = Literal["succeeded", "failed", "rejected"]


class StepSummary(BaseModel):
    """One step: how it ended and where its log is."""

    status: Literal["succeeded", "failed"]
    seconds: float
    cached: bool
    log: str | None


class Failure(BaseModel):
    """Why a run failed: the end of the failing step's log, its name, and the log's path."""

    message: str
    step: str
    log: str


class Summary(BaseModel):
    """A run. `rejected` means that the model did not pass the gate."""

    status: RunStatus
    project: str
    task: Literal["detect", "count", "classify"]
    run: str
    config: str
    steps: dict[str, StepSummary]
    metrics: dict[str, float] = {}
    verdict: dict[str, Any] = {}
    report: str | None = None
    model: str | None = None
    endpoint: str | None = None
    error: Failure | None = None

    def headline(self) -> dict[str, float]:
        """Return the task's few main metrics."""
        return {name: self.metrics[name] for name in HEADLINES[self.task] if name in self.metrics}


def summarise(
    project: Project,
    config: Path,
    run: Path,
    records: Sequence[StepRecord],
    failure: Failure | None,
) -> Summary:
    """Build a run's summary and gather its reports under `<run>/reports`."""
    by_name = {record.name: record for record in records}
    judgement = _read_json(by_name, "evaluate", "verdict")
    verdict = judgement.get("verdict", {})
    reports = _gather_reports(run, records)
    endpoint = _artifact(by_name, "deploy", "endpoint")
    if failure is None and verdict.get("passed") and endpoint is None:
        # kfp skips steps behind a condition that it could not evaluate, with a warning only.
        failure = Failure(
            message="the gate passed, but register and deploy did not run",
            step="gate",
            log=str(run / "logs" / "kfp.log"),
        )
    status = _status(failure, verdict)
    return Summary(
        status=status,
        project=project.project,
        task=project.task,
        run=run.name,
        config=str(config),
        steps={
            record.name: StepSummary(
                status=record.status,
                seconds=round(record.seconds, 3),
                cached=record.cached,
                log=str(record.log) if record.log else None,
            )
            for record in records
        },
        metrics=judgement.get("metrics", {}),
        verdict=verdict,
        report=reports.get("evaluate"),
        model=_text(_artifact(by_name, "train", "model")),
        endpoint=_copied(endpoint, run / "endpoint.json"),
        error=failure,
    )


def _status(failure: Failure | None, verdict: dict[str, Any]) -> RunStatus:
    if failure is not None:
        return "failed"
    return "succeeded" if verdict.get("passed") else "rejected"


def write_summary(summary: Summary, run: Path) -> None:
    """Write `summary.json`, whole or not at all."""
    write_text(run / "summary.json", summary.model_dump_json(indent=2))


def read_summary(run: Path) -> Summary | None:
    """Return a run's summary, or None while it has none."""
    path = run / "summary.json"
    if not path.exists():
        return None
    try:
        return Summary.model_validate_json(path.read_bytes())
    except ValidationError:
        print(f"note: {path} is damaged", file=sys.stderr)
        return None


def _artifact(records: dict[str, StepRecord], step: str, name: str) -> Path | None:
    record = records.get(step)
    path = record.artifacts.get(name) if record else None
    return path if path is not None and path.exists() else None


def _read_json(records: dict[str, StepRecord], step: str, name: str) -> dict[str, Any]:
    path = _artifact(records, step, name)
    if path is None:
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _copied(path: Path | None, to: Path) -> str | None:
    if path is None:
        return None
    shutil.copyfile(path, to)
    return str(to)


def _gather_reports(run: Path, records: Sequence[StepRecord]) -> dict[str, str]:
    """Link each step's HTML as `reports/<step>.html`: browsers open a file by its extension."""
    folder = run / "reports"
    folder.mkdir(exist_ok=True)
    found = {}
    for record in records:
        for name, kind in record.kinds.items():
            path = record.artifacts[name]
            if kind != "system.HTML" or not path.is_file():
                continue
            link = folder / f"{record.name}.html"
            try:
                os.link(path, link)
            except OSError:  # another file system
                shutil.copyfile(path, link)
            found[record.name] = str(link)
    return found
