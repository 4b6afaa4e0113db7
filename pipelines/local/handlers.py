"""How kfp.local runs a task here: in the virtual environment, or the container, of its image.

kfp.local has no hook for this, but its dispatcher looks the handler classes up when it runs a
task, so replacing them is enough. What we touch of kfp 2.17: the attributes
`subprocess_task_handler.SubprocessTaskHandler`, `docker_task_handler.DockerTaskHandler` and
`cache.LocalCache`, the handlers' constructor, and `status.Status`.
"""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from kfp import local
from kfp.local import cache, docker_task_handler, status, subprocess_task_handler

from pipelines.images import ROOT, environment
from pipelines.local import guard
from pipelines.local.journal import Journal, StepRecord, tail, timed
from pipelines.local.journaled_cache import JournaledCache

if TYPE_CHECKING:
    import docker


_OWNER = "sightline.orchestrator"  # the label that names the process a container works for


@dataclass(frozen=True)
class Session:
    """What the handlers need to know of the run they serve.

    Attributes:
        journal: where steps are announced and recorded.
        logs: the folder of the step logs.
        env: variables every step sees; not part of cache keys.
        mounts: folders a container must see, each at its own path; True means read-only.
        scratch: folder for the temporary files of tasks on this machine; empty: the system's.
    """

    journal: Journal
    logs: Path
    env: dict[str, str] = field(default_factory=dict)
    mounts: dict[Path, bool] = field(default_factory=dict)
    scratch: str = ""


@dataclass(frozen=True)
class _Task:
    """A task's identity and outputs, read from the input that kfp hands its executor."""

    name: str
    artifacts: dict[str, Path]
    kinds: dict[str, str]
    result: Path

    @classmethod
    def of(cls, command: list[str]) -> "_Task":
        spec = json.loads(command[command.index("--executor_input") + 1])
        outputs = spec["outputs"]
        found = {name: item["artifacts"][0] for name, item in outputs.get("artifacts", {}).items()}
        folder = Path(outputs["outputFile"]).parent
        # The tasks of a loop share their name, but not their log.
        turn = re.search(r"-iteration-(\d+)$", folder.parent.name)
        return cls(
            name=f"{folder.name}-{turn[1]}" if turn else folder.name,
            artifacts={name: Path(item["uri"]) for name, item in found.items()},
            kinds={name: item["type"]["schemaTitle"] for name, item in found.items()},
            result=Path(outputs["outputFile"]),
        )

    def write_metadata(self) -> None:
        """Give each artifact that is metadata alone, such as metrics, a file that holds it.

        kfp's cache takes an artifact without a file for lost, and does its step again.
        """
        executed = json.loads(self.result.read_text()) if self.result.exists() else {}
        for name, path in self.artifacts.items():
            if path.exists():
                continue
            found = executed.get("artifacts", {}).get(name, {}).get("artifacts", [{}])[0]
            path.write_text(json.dumps(found.get("metadata", {}), indent=2), encoding="utf-8")


class _Handler:
    """Runs a task, keeps its log, and tells the journal."""

    session: ClassVar[Session]

    def __init__(
        self,
        image: str,
        full_command: list[str],
        pipeline_root: str,
        runner: object,
        env_vars: dict[str, str] | None = None,
    ) -> None:
        self.image = image
        self.command = full_command
        self.pipeline_root = pipeline_root
        self.runner = runner
        self.env_vars = env_vars or {}

    def run(self) -> status.Status:
        """Run the task to its end."""
        task = _Task.of(self.command)
        journal, log = self.session.journal, self.session.logs / f"{task.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        journal.begin(task.name)
        with timed() as elapsed, log.open("w", encoding="utf-8") as file:

            def keep(line: str) -> None:
                file.write(line)
                file.flush()
                journal.echo(line)

            try:
                code = self.execute(keep)
            except Exception as error:  # of the engine, say: the run must end in order
                keep(f"error: {type(error).__name__}: {error}\n")
                code = 1
        succeeded = code == 0
        record = StepRecord(
            name=task.name,
            status="succeeded" if succeeded else "failed",
            seconds=elapsed[0],
            cached=False,
            log=log,
            artifacts=task.artifacts,
            kinds=task.kinds,
        )
        if succeeded:
            task.write_metadata()
        elif not tail(log):
            log.write_text(f"error: the task ended with exit status {code} and printed nothing\n")
        journal.end(record)
        return status.Status.SUCCESS if succeeded else status.Status.FAILURE

    def execute(self, keep: Callable[[str], None]) -> int:
        """Run the command, hand over each line it prints, return its exit status."""
        raise NotImplementedError


class VenvTaskHandler(_Handler):
    """Runs a task in `.venvs/<image>`."""

    def execute(self, keep: Callable[[str], None]) -> int:
        """Run the command under a guard, so that it ends when this process does."""
        prefix = ROOT / ".venvs" / environment(self.image)
        if not (prefix / ".complete").exists():
            keep(f"error: {prefix} is not set up; run 'make setup'\n")
            return 1
        env = {
            **{key: value for key, value in os.environ.items() if key != "PYTHONHOME"},
            **self.session.env,
            **self.env_vars,
            "SIGHTLINE_IMAGE": self.image,
            **({"TMPDIR": self.session.scratch} if self.session.scratch else {}),
            "VIRTUAL_ENV": str(prefix),
            "PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-I", "-S", guard.__file__, *self.command]
        with subprocess.Popen(
            command,
            env=env,
            text=True,
            errors="replace",
            stdin=subprocess.PIPE,  # the guard ends the task when this pipe closes
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout is not None  # noqa: S101 - asked for above
            try:
                for line in process.stdout:
                    keep(line)
            except BaseException:
                process.terminate()
                raise
        return process.returncode


class ContainerTaskHandler(_Handler):
    """Runs a task in a container of its image."""

    def execute(self, keep: Callable[[str], None]) -> int:
        """Run the container to its end.

        kfp's own handler lets the engine remove the container by itself, which races with
        waiting for it and reports about one failure in ten as success. So: run, wait, remove.
        """
        import docker  # noqa: PLC0415 - only this runner needs an engine
        from docker.errors import APIError, DockerException, ImageNotFound  # noqa: PLC0415

        try:
            client = docker.from_env()
        except DockerException as error:
            keep(f"error: no container engine answers ({error}); start one or use --runner venv\n")
            return 1
        _remove_abandoned(client)
        try:
            # Asked for first, because `run` would look for a missing image on the internet.
            image = client.images.get(self.image)
            container = client.containers.run(
                image,
                self.command,
                detach=True,
                environment={
                    **self.session.env,
                    **self.env_vars,
                    "SIGHTLINE_IMAGE": self.image,
                    "PYTHONUNBUFFERED": "1",
                },
                user=f"{os.getuid()}:{os.getgid()}",
                volumes={
                    str(folder): {"bind": str(folder), "mode": "ro" if read_only else "rw"}
                    for folder, read_only in self.session.mounts.items()
                },
                labels={_OWNER: owner(os.getpid())},
                shm_size="2g",
            )
        except ImageNotFound:
            keep(f"error: image {self.image} is not built; run 'make images'\n")
            return 1
        except APIError as error:
            keep(f"error: the engine did not start the container: {error.explanation}\n")
            return 1
        try:
            for chunk in container.logs(stream=True, follow=True):
                keep(chunk.decode(errors="replace"))
            return int(container.wait()["StatusCode"])
        finally:
            container.remove(force=True)


def _remove_abandoned(client: "docker.DockerClient") -> None:
    """End containers whose run was killed: the engine keeps them, and they hold checkpoints."""
    from docker.errors import APIError  # noqa: PLC0415

    for container in client.containers.list(filters={"label": _OWNER}):
        place, _, process = container.labels[_OWNER].rpartition(":")
        if place == _place() and not Path("/proc", process).exists():
            with suppress(APIError):  # another task of ours has removed it
                container.remove(force=True)


def owner(process: int) -> str:
    """Return the label of a process's containers."""
    return f"{_place()}:{process}"


def _place() -> str:
    """Return what tells one space of process numbers from others that share the engine."""
    return f"{socket.gethostname()}:{Path('/proc/self/ns/pid').readlink()}"


@contextmanager
def installed(
    session: Session, runner: str, pipeline_root: Path, cache_root: Path, *, fresh: bool = False
) -> Iterator[None]:
    """Make kfp.local use our handlers and cache for the length of a block.

    With `fresh` every step is done; what is in the cache is replaced by what it gives.
    """
    originals = (
        subprocess_task_handler.SubprocessTaskHandler,
        docker_task_handler.DockerTaskHandler,
        cache.LocalCache,
    )
    _Handler.session = session
    JournaledCache.journal = session.journal
    JournaledCache.fresh = fresh
    subprocess_task_handler.SubprocessTaskHandler = VenvTaskHandler
    docker_task_handler.DockerTaskHandler = ContainerTaskHandler
    cache.LocalCache = JournaledCache
    chosen = local.DockerRunner() if runner == "docker" else local.SubprocessRunner(use_venv=False)
    local.init(
        chosen,
        pipeline_root=str(pipeline_root),
        enable_caching=True,
        cache_root=str(cache_root),
    )
    try:
        yield
    finally:
        (
            subprocess_task_handler.SubprocessTaskHandler,
            docker_task_handler.DockerTaskHandler,
            cache.LocalCache,
        ) = originals
