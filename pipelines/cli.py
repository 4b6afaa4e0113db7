"""The command line: `./sightline check|compile|run|report|serve|runs`."""

import errno
import functools
import os
import sys
import webbrowser
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, ParamSpec

import typer

from components.shared.errors import UserError
from pipelines.config import Project, check_paths, load, local_paths
from pipelines.images import ROOT

if TYPE_CHECKING:
    from pipelines.local.summary import Summary

P = ParamSpec("P")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Turn images into a vision model in production: detection, counting, classification.",
)


class Runner(StrEnum):
    """Where a local run's steps run."""

    venv = "venv"
    docker = "docker"


class Target(StrEnum):
    """What a compiled pipeline is for."""

    local = "local"
    kubeflow = "kubeflow"


Config = Annotated[Path, typer.Argument(help="A project's YAML file, e.g. configs/demo.yaml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: --set train.epochs=3"),
]
Runs = Annotated[Path, typer.Option(help="The folder that keeps all runs.")]


def _shows_user_errors(command: Callable[P, None]) -> Callable[P, None]:
    """End with the message alone when the user can mend the cause."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(2) from None
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            where = f" ({error.filename})" if error.filename else ""
            print(
                f"error: the disk is full{where}; make room, then give the same command again: it "
                "goes on where it was",
                file=sys.stderr,
            )
            raise typer.Exit(1) from None

    return wrapped


@app.command()
@_shows_user_errors
def check(
    config: Config,
    set_: Overrides = None,
) -> None:
    """Check a config and print every setting it leads to, without running anything."""
    project = load(config, set_ or [])
    print(project.to_yaml(), end="", flush=True)
    check_paths(project)
    print(f"{config}: valid", file=sys.stderr)


@app.command("compile")
@_shows_user_errors
def compile_(
    config: Config,
    target: Annotated[Target, typer.Option(help="What the pipeline is for.")] = Target.local,
    output: Annotated[
        Path | None, typer.Option(help="The file to write; default build/<project>-<target>.yaml.")
    ] = None,
    set_: Overrides = None,
) -> None:
    """Compile the pipeline to Kubeflow's IR YAML, with the config as its parameters."""
    from pipelines.placement import PlacementSection
    from pipelines.training import compile_pipeline

    project = load(config, set_ or [])
    if target is Target.kubeflow:
        _warn_of_this_machine(project)
    placement = project.placement if target is Target.kubeflow else PlacementSection()
    path = output or Path("build", f"{project.project}-{target}.yaml")
    compile_pipeline(project, placement, path)
    print(path)


@app.command()
@_shows_user_errors
def run(
    config: Config,
    set_: Overrides = None,
    runs: Runs = Path("runs"),
    runner: Annotated[
        Runner, typer.Option(help="A virtual environment or a container for each step.")
    ] = Runner.venv,
    require_pass: Annotated[
        bool, typer.Option("--require-pass", help="Exit with 3 when the gate rejects the model.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Redo every step, whatever the cache holds.")
    ] = False,
) -> None:
    """Run the whole pipeline on this machine: images in, verified endpoint out.

    A run that failed, or was stopped, continues where it was when the same command is given
    again. Exit status: 0 done, 1 a step failed, 2 a mistake in the command or config.
    """
    from pipelines.local.run import run_local

    project = load(config, set_ or [])
    check_paths(project)
    summary = run_local(project, config, runs, runner.value, fresh=fresh)
    if summary.status == "failed":
        raise typer.Exit(1)
    if summary.status == "rejected" and require_pass:
        raise typer.Exit(3)


@app.command()
@_shows_user_errors
def report(
    config: Config,
    runs: Runs = Path("runs"),
    browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Print where the newest run's evaluation report is."""
    summary = _newest(load(config), runs, "report")
    path = Path(str(summary.report))
    print(path)
    if browser:
        webbrowser.open(path.as_uri())


@app.command()
@_shows_user_errors
def serve(
    config: Config,
    runs: Runs = Path("runs"),
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 8080,
) -> None:
    """Serve the newest run's model over HTTP: POST /invocations."""
    summary = _newest(load(config), runs, "model")
    if summary.status != "succeeded":
        print(f"note: run {summary.run} {summary.status}; its model is served", file=sys.stderr)
    python = ROOT / ".venvs" / "trainer" / "bin" / "python"
    if not python.exists():
        raise UserError(f"{python} does not exist; run 'make setup'")
    os.environ["PYTHONPATH"] = str(ROOT)
    command = ["-m", "components.deploy.server", "--model", str(summary.model)]
    os.execv(python, [str(python), *command, "--host", host, "--port", str(port)])  # noqa: S606


@app.command("runs")
@_shows_user_errors
def runs_(
    runs: Annotated[Path, typer.Argument(help="The folder that keeps all runs.")] = Path("runs"),
) -> None:
    """List runs with their outcome and main metrics, newest first."""
    from pipelines.local.summary import read_summary

    folders = _newest_first(runs, "*")
    if not folders:
        raise UserError(f"{runs}: no runs here; start one with './sightline run configs/demo.yaml'")
    for folder in folders:
        summary = read_summary(folder)
        status = summary.status if summary else "unfinished"
        headline = summary.headline() if summary else {}
        metrics = "  ".join(f"{name} {value:.4g}" for name, value in headline.items())
        print(f"{folder.name:<18} {folder.parent.name:<20} {status:<10} {metrics}")


def _newest_first(runs: Path, project: str) -> list[Path]:
    """Return the folders of runs; their names are times."""
    found = [path for path in runs.glob(f"{project}/2*") if path.is_dir()]
    return sorted(found, key=lambda path: path.name, reverse=True)


def _newest(project: Project, runs: Path, what: Literal["report", "model"]) -> "Summary":
    """Return the newest run that made a report or a model: one under way has neither yet."""
    from pipelines.local.summary import read_summary

    for folder in _newest_first(runs.resolve(), project.project):
        summary = read_summary(folder)
        if summary is not None and getattr(summary, what) is not None:
            return summary
    raise UserError(
        f"{runs / project.project}: no run of this project has a {what}; start one with "
        "'./sightline run'"
    )


def _warn_of_this_machine(project: Project) -> None:
    for key, path in local_paths(project).items():
        print(
            f"note: {key} is {path}; the cluster needs it at that path, on a volume for example, "
            f"or give an s3:// or https:// address with --set {key}=ADDRESS",
            file=sys.stderr,
        )
    uri = project.register_.tracking_uri
    if not uri or uri.startswith("sqlite:"):
        print(
            f"note: register.tracking_uri is {uri or 'empty'}; on a cluster the registry would end "
            "with its pod: give a server's address with --set register.tracking_uri=ADDRESS",
            file=sys.stderr,
        )
    if not project.placement.registry:
        print(
            "note: placement.registry is empty; a cluster must find the images by bare names: give "
            "a registry with --set placement.registry=ADDRESS",
            file=sys.stderr,
        )
