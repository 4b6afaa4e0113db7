"""One run of the pipeline on this machine."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from components.shared.errors import UserError
from components.shared.files import write_text
from pipelines.config import Project, local_paths, registry_folders
from pipelines.images import ROOT
from pipelines.local.handlers import Session, installed
from pipelines.local.journal import Journal, tail
from pipelines.local.page import write_page
from pipelines.local.summary import Failure, Summary, summarise, write_summary
from pipelines.training import STEP_IMAGES, arguments, build

_PROFILE: Final = "profile.json"  # beside the runs of a project


@dataclass(frozen=True)
class RunPaths:
    """Where a run's files are: `<runs>/<project>/<run>`."""

    root: Path
    project: Path
    run: Path

    @classmethod
    def create(cls, root: Path, project: str) -> "RunPaths":
        """Make the folder of a new run, named by the time; two at once get two folders."""
        folder = root.resolve() / project
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"--runs {root}: cannot be made a folder of runs ({error.strerror}); give another"
            ) from None
        stamp = time.strftime("%Y%m%d-%H%M%S")
        for attempt in range(1000):
            run = folder / (f"{stamp}-{attempt}" if attempt else stamp)
            with contextlib.suppress(FileExistsError):
                run.mkdir()
                return cls(root.resolve(), folder, run)
        raise UserError(f"{folder}: cannot make a folder for the run")

    def point_latest_here(self) -> None:
        """Make `<project>/latest` point to this run, in one step that cannot be seen half-done."""
        aside = self.project / f".latest-{self.run.name}"
        aside.symlink_to(self.run.name)
        aside.replace(self.project / "latest")


def run_local(
    project: Project, config: Path, runs: Path, runner: str, *, fresh: bool = False
) -> Summary:
    """Run the pipeline, print a line a step, and write `summary.json` and `index.html`.

    Args:
        project: the validated config.
        config: its file, for the record.
        runs: the folder that keeps all runs.
        runner: `venv` or `docker`.
        fresh: redo every step, whatever the cache holds.
    """
    _make_folders(project)
    settings = arguments(project, _accepted_profile(runs / project.project))
    paths = RunPaths.create(runs, project.project)
    paths.point_latest_here()
    (paths.run / "config.yaml").write_text(project.to_yaml(), encoding="utf-8")
    parts = project.placement.parts
    # In parts, ingest is a plan, the parts and a merge.
    journal = Journal(steps=len(STEP_IMAGES) + (parts + 1 if parts > 1 else 0))
    journal.say(f"run {paths.run}")
    failure = _execute(project, settings, paths, journal, runner, fresh)
    summary = summarise(project, config, paths.run, journal.records, failure)
    write_page(summary, paths.run, journal.records)
    write_summary(summary, paths.run)
    if summary.status == "succeeded":
        _keep_profile(journal, paths)
    _conclude(summary, paths, journal)
    return summary


def _make_folders(project: Project) -> None:
    """Make the folders that a config names, before anything else is."""
    named = [("register", folder) for folder in registry_folders(project)]
    if project.ingest.download_folder:
        named.append(("ingest.download_folder", Path(project.ingest.download_folder)))
    for key, folder in named:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{key}: {folder} cannot be made: {error.strerror}") from None


def _execute(
    project: Project,
    settings: dict[str, Any],
    paths: RunPaths,
    journal: Journal,
    runner: str,
    fresh: bool,
) -> Failure | None:
    env = {
        # A fresh run takes no earlier one's checkpoints either.
        "SIGHTLINE_CHECKPOINTS": str((paths.run if fresh else paths.project) / "checkpoints"),
        "SIGHTLINE_REGISTRY_DIR": str(paths.root),
        "SIGHTLINE_CODE_VERSION": _code_version(),
    }
    mounts = {paths.root: False}
    mounts |= dict.fromkeys(local_paths(project).values(), True)
    if project.ingest.download_folder:
        mounts[Path(project.ingest.download_folder)] = False
    mounts |= dict.fromkeys(registry_folders(project), False)
    pipeline = build(project.placement)
    logs = paths.run / "logs"
    logs.mkdir()
    # kfp narrates on standard output; its story goes to a log, ours to the user.
    with (
        # kfp's executor leaves a folder behind for each step.
        TemporaryDirectory(prefix="sightline-run-", ignore_cleanup_errors=True) as scratch,
        (logs / "kfp.log").open("w", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        installed(
            Session(journal, logs, env, mounts, scratch),
            runner, paths.run, paths.project / "cache", fresh=fresh,
        ),
    ):  # fmt: skip
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop like Ctrl-C's
        try:
            pipeline(**settings)
        except RuntimeError as error:
            return _failure(journal, str(error), logs / "kfp.log")
        except KeyboardInterrupt:
            return Failure(message="interrupted", step="", log=log.name)
    return None


def _failure(journal: Journal, message: str, log: Path) -> Failure:
    """Name the step that failed and quote the end of its own log, not kfp's verdict on it."""
    failed = next((r for r in journal.records if r.status == "failed"), None)
    if failed is None or failed.log is None:
        return Failure(message=message, step="", log=str(log))
    return Failure(message="\n".join(tail(failed.log)), step=failed.name, log=str(failed.log))


def _accepted_profile(folder: Path) -> str:
    """Return what the data of the newest accepted run looked like, as JSON; empty: none yet."""
    path = folder / _PROFILE
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _keep_profile(journal: Journal, paths: RunPaths) -> None:
    """Keep this run's profile of its data, which later runs are compared with."""
    for record in journal.records:
        profile = record.artifacts.get("profile") if record.name == "validate" else None
        if profile is not None and profile.is_file():
            write_text(paths.project / _PROFILE, profile.read_text(encoding="utf-8"))


def _code_version() -> str:
    """Return the commit of the checkout, marked if files differ from it; nothing without git."""
    command = [
        "git",
        "-C",
        str(ROOT),
        "describe",
        "--always",
        "--abbrev=40",
        "--dirty",
        "--exclude=*",
    ]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return os.environ.get("SIGHTLINE_CODE_VERSION", "")


def _conclude(summary: Summary, paths: RunPaths, journal: Journal) -> None:
    if summary.error is not None:
        where = f"step '{summary.error.step}'" if summary.error.step else "the pipeline"
        journal.say(f"\nfailed: {where} ended with\n")
        journal.say("\n".join(f"    {line}" for line in summary.error.message.splitlines()))
        journal.say(f"\nlog: {summary.error.log}")
        journal.say("The same command continues from this step once the cause is mended;")
        journal.say("with --fresh it does every step again.")
        return
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in summary.headline().items())
    journal.say(f"\n{summary.status}: {metrics}")
    for rule in summary.verdict.get("rules", []):
        journal.say(f"  {'pass' if rule['passed'] else 'FAIL'}  {rule['sentence']}")
    if summary.status == "rejected":
        journal.say("The gate did not pass: nothing was registered or deployed.")
    print(f"report: {summary.report}", file=sys.stdout)
    print(f"index:  {paths.run / 'index.html'}", file=sys.stdout)
