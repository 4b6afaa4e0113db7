"""`index.html`: one page that links all that a run made."""

import os
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines.local.journal import StepRecord
from pipelines.local.summary import Summary


def write_page(summary: Summary, run: Path, records: Sequence[StepRecord]) -> None:
    """Write the run's page; links are relative, so the runs folder can be moved."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    steps = [
        {
            "name": record.name,
            "how": "cached" if record.cached else f"{record.seconds:.1f} s",
            "status": record.status,
            "log": _relative(record.log, run) if record.log else None,
            "report": _report(run, record.name),
            "artifacts": {
                name: _relative(_openable(path), run)
                for name, path in record.artifacts.items()
                if path.exists()
            },
        }
        for record in records
    ]
    html = environment.get_template("page.html.j2").render(
        summary=summary, steps=steps, report=_report(run, "evaluate")
    )
    (run / "index.html").write_text(html, encoding="utf-8")


def _report(run: Path, step: str) -> str | None:
    path = Path("reports", f"{step}.html")
    return path.as_posix() if (run / path).exists() else None


def _relative(path: Path, run: Path) -> str:
    return Path(os.path.relpath(path, run)).as_posix()


def _openable(path: Path) -> Path:
    """Return the page of a folder that has one (Great Expectations' data docs)."""
    index = path / "index.html"
    return index if index.exists() else path
