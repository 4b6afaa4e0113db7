"""The whole step with a real model, server and images: what passes, and what must not."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.deploy.config import DeploySection
from components.deploy.deploy import Release, deploy
from components.shared.errors import UserError
from components.shared.inference import Predictor
from components.shared.predictions import write_predictions
from components.shared.task import Task

ROOT = Path(__file__).resolve().parents[3]
MakeRelease = Callable[..., Release]
pytestmark = pytest.mark.slow


@pytest.fixture
def make_release(
    tmp_path: Path,
    make_archive: Callable[..., Path],
    write_records: Callable[..., Path],
    encoded: Callable[..., bytes],
) -> MakeRelease:
    """Return a function that leaves a model, its version, predictions and records behind."""

    def make(task: Task = "classify") -> Release:
        model = make_archive(task)
        images = [
            encoded(30 + 16 * index, size=(90 + index, 70), kind="PNG" if index % 2 else "JPEG")
            for index in range(12)
        ]
        predictor = Predictor.load(model, "cpu")
        rows = [
            (f"t/{index:03d}", "test", found)
            for index, found in enumerate(predictor.predict(images))
        ]
        write_predictions(tmp_path / "predictions", rows, predictor.identity)  # type: ignore[arg-type]
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
        version = {"name": "demo", "version": "7", "model_version": digest}
        (tmp_path / "version").write_text(json.dumps(version))
        records = write_records(task, images)
        return Release(model, tmp_path / "version", tmp_path / "predictions", records)

    return make


def _change(path: Path, row: int, column: str, value: Any) -> None:
    table = pq.read_table(path)
    values = table[column].to_pylist()
    values[row] = value
    place = table.schema.get_field_index(column)
    field = table.schema.field(column)
    changed = table.set_column(place, field, pa.array(values, field.type))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)


@pytest.mark.parametrize("task", ["classify", "count", "detect"])
def test_a_model_that_repeats_its_predictions_is_verified(
    make_release: MakeRelease, tmp_path: Path, task: Task
) -> None:
    release = make_release(task)
    endpoint = tmp_path / "out" / "endpoint"

    deploy(DeploySection(smoke_images=5), release, endpoint)

    written = json.loads(endpoint.read_text())
    assert written["status"] == "verified"
    assert written["images"] == 5
    assert written["registered_version"] == "7"
    assert written["model_version"] == hashlib.sha256(release.model.read_bytes()).hexdigest()
    assert 0 <= written["max_difference"] < 1e-3
    assert 0 < written["latency_ms"]["median"] <= written["latency_ms"]["p90"]
    assert str(release.model) in written["command"]
    assert "components.deploy.server" in written["command"]


def test_another_answer_than_predicts_is_refused(make_release: MakeRelease, tmp_path: Path) -> None:
    release = make_release()
    _change(release.predictions, 8, "probabilities", [0.125, 0.875])

    with pytest.raises(UserError) as caught:
        deploy(DeploySection(smoke_images=3), release, tmp_path / "endpoint")

    assert "test image 't/008' differs from predict's" in str(caught.value)
    assert "predict:  [0.125, 0.875]" in str(caught.value)
    assert not (tmp_path / "endpoint").exists()


def test_a_model_that_is_too_slow_is_refused(make_release: MakeRelease, tmp_path: Path) -> None:
    section = DeploySection(smoke_images=2, max_latency_ms=0.01)

    with pytest.raises(UserError, match=r"deploy\.max_latency_ms: .* at most 0\.01"):
        deploy(section, make_release(), tmp_path / "endpoint")

    assert not (tmp_path / "endpoint").exists()


def test_another_model_than_the_registered_one_is_refused(
    make_release: MakeRelease, make_archive: Callable[..., Path], tmp_path: Path
) -> None:
    release = make_release()
    other = Release(make_archive(seed=1), release.version, release.predictions, release.records)

    with pytest.raises(UserError, match="register and deploy the same archive"):
        deploy(DeploySection(), other, tmp_path / "endpoint")


def test_the_predictions_of_another_model_are_refused(
    make_release: MakeRelease, make_archive: Callable[..., Path], tmp_path: Path
) -> None:
    release = make_release()
    identity = Predictor.load(make_archive(seed=1), "cpu").identity
    write_predictions(release.predictions, [], identity)

    with pytest.raises(UserError, match="run predict again with this model"):
        deploy(DeploySection(), release, tmp_path / "endpoint")


def test_a_file_that_is_no_version_is_refused(make_release: MakeRelease, tmp_path: Path) -> None:
    release = make_release()
    release.version.write_text('{"version": "1"}')

    with pytest.raises(UserError, match="not a model version of the register step"):
        deploy(DeploySection(), release, tmp_path / "endpoint")


# A shell's background jobs ignore SIGINT, and what they start inherits that: not so here.
_STEP = """
import pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from components.deploy.config import DeploySection
from components.deploy.deploy import Release, deploy
deploy(DeploySection(smoke_images=12), Release(*map(pathlib.Path, sys.argv[1:5])),
       pathlib.Path(sys.argv[5]))
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_server_outlives_the_step(
    make_release: MakeRelease, tmp_path: Path, how: signal.Signals
) -> None:
    release = make_release()
    paths = (release.model, release.version, release.predictions, release.records)
    step = subprocess.Popen(
        [sys.executable, "-c", _STEP, *map(str, paths), str(tmp_path / "endpoint")],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = _wait_for_server(release.model, step)

    os.kill(step.pid, how)

    assert step.wait(60) != 0
    assert _ends(server, within=30)
    assert not (tmp_path / "endpoint").exists()


def _wait_for_server(model: Path, step: subprocess.Popen[bytes]) -> int:
    """Return the process id of the server of this model."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert step.poll() is None
        for folder in Path("/proc").glob("[0-9]*"):
            if _serves(folder, model):
                return int(folder.name)
        time.sleep(0.02)
    raise AssertionError("no server was started")


def _serves(folder: Path, model: Path) -> bool:
    try:
        command = (folder / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"components.deploy.server" in command and str(model).encode() in command


def _ends(number: int, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not Path(f"/proc/{number}/cmdline").exists():
            return True
        if not Path(f"/proc/{number}/cmdline").read_bytes():
            return True  # a zombie whose parent has not asked yet
        time.sleep(0.05)
    return False
