"""The container runner, on a real engine where one answers."""

import subprocess
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

from pipelines.local.handlers import ContainerTaskHandler, Session, owner
from pipelines.local.journal import Journal

BASE = "python:3.11-slim"

pytestmark = pytest.mark.docker


@pytest.fixture
def client() -> docker.DockerClient:
    try:
        client = docker.from_env()
        client.images.get(BASE)
    except ImageNotFound:
        pytest.skip(f"the engine does not hold {BASE}, the base of all images")
    except DockerException as error:
        pytest.skip(f"no container engine answers: {error}")
    return client


def run(script: str, tmp_path: Path) -> tuple[int, str]:
    """Run a shell script in the base image; return its status and output."""
    ContainerTaskHandler.session = Session(
        Journal(steps=1), tmp_path / "logs", {"SIGHTLINE_TEST": "yes"}, {tmp_path: False}
    )
    handler = ContainerTaskHandler(BASE, ["sh", "-c", script], str(tmp_path), None)
    lines: list[str] = []
    return handler.execute(lines.append), "".join(lines)


@pytest.mark.parametrize("attempt", range(10))
def test_a_failed_container_is_always_reported_as_failed(
    client: docker.DockerClient, tmp_path: Path, attempt: int
) -> None:
    before = {container.id for container in client.containers.list(all=True)}
    assert run(f"echo attempt {attempt}; exit 3", tmp_path) == (3, f"attempt {attempt}\n")
    assert {container.id for container in client.containers.list(all=True)} <= before


def test_a_container_sees_its_folders_and_variables(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    code, output = run(f"echo $SIGHTLINE_TEST > {tmp_path}/written; id -u", tmp_path)
    assert code == 0
    assert (tmp_path / "written").read_text() == "yes\n"
    assert output.strip() == str((tmp_path / "written").stat().st_uid)


def test_a_container_whose_run_was_killed_is_ended_by_the_next(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    labels = {"sightline.orchestrator": owner(gone.pid)}
    left = client.containers.run(BASE, ["sleep", "60"], detach=True, labels=labels)
    assert run("true", tmp_path)[0] == 0
    assert left.id not in {container.id for container in client.containers.list(all=True)}


def test_an_image_that_is_not_built_is_named(client: docker.DockerClient, tmp_path: Path) -> None:
    handler = ContainerTaskHandler("sightline/nowhere:none", ["true"], str(tmp_path), None)
    ContainerTaskHandler.session = Session(Journal(steps=1), tmp_path)
    lines: list[str] = []
    assert handler.execute(lines.append) == 1
    assert "sightline/nowhere:none is not built; run 'make images'" in lines[0]
