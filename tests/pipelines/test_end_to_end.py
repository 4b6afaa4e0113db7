"""The whole pipeline for real: small drawn scenes, every step in its own environment."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Not explore: nothing waits for it, so it may come last.
BEFORE_TRAIN = ("ingest", "validate", "split", "augment", "im2rec")

pytestmark = pytest.mark.slow

Command = Callable[..., list[str]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of runs for all tests here, so that later ones find earlier ones' cache."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def command(runs: Path) -> Command:
    """Return a command line for a run that takes seconds."""
    settings = [
        "ingest.synthetic.images=80",
        "ingest.synthetic.size=32",
        "train.image_size=32",
        "train.epochs=2",
        "evaluate.gate=[]",
        "evaluate.bootstrap=100",
        "deploy.smoke_images=4",
    ]

    def build(*overrides: str) -> list[str]:
        sets = [part for item in (*settings, *overrides) for part in ("--set", item)]
        return [str(ROOT / "sightline"), "run", "configs/demo.yaml", "--runs", str(runs), *sets]

    return build


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def latest(runs: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((runs / "demo" / "latest" / "summary.json").read_text())
    return found


def cached(summary: dict[str, Any]) -> set[str]:
    return {name for name, step in summary["steps"].items() if step["cached"]}


def test_images_become_a_verified_endpoint(command: Command, runs: Path) -> None:
    done = run(command())
    assert done.returncode == 0, done.stderr
    summary = latest(runs)
    assert summary["status"] == "succeeded"
    assert len(summary["steps"]) == 12
    assert {"rmse", "mae", "accuracy"} <= set(summary["metrics"])
    assert json.loads(Path(summary["endpoint"]).read_text())["status"] == "verified"
    for key in ("report", "model"):
        assert Path(summary[key]).stat().st_size > 0
    index = (runs / "demo" / "latest" / "index.html").read_text()
    for step in summary["steps"]:
        assert step in index


def test_an_edit_redoes_only_what_it_can_change(command: Command, runs: Path) -> None:
    assert run(command()).returncode == 0
    done = run(command("evaluate.worst_images=3"))
    assert done.returncode == 0, done.stderr
    everything = set(latest(runs)["steps"])
    assert everything - cached(latest(runs)) == {"evaluate", "register", "deploy"}


def test_a_failed_gate_skips_what_follows_and_says_why(command: Command, runs: Path) -> None:
    impossible = command("evaluate.gate=[{metric: accuracy, at_least: 1.1}]")
    done = run(impossible)
    assert done.returncode == 0, done.stderr
    summary = latest(runs)
    assert summary["status"] == "rejected"
    assert not {"register", "deploy"} & set(summary["steps"])
    assert summary["endpoint"] is None
    assert "at least 1.1 is demanded" in done.stderr
    assert summary["verdict"]["rules"][0]["passed"] is False
    assert run([*impossible, "--require-pass"]).returncode == 3


def test_a_failed_step_is_named_with_its_own_words(command: Command, runs: Path) -> None:
    done = run(command("validate.min_images=1000"))
    assert done.returncode == 1
    summary = latest(runs)
    assert summary["status"] == "failed"
    assert summary["error"]["step"] == "validate"
    assert "80" in summary["error"]["message"]
    first = summary["error"]["message"].splitlines()[0]
    assert first in Path(summary["error"]["log"]).read_text()
    assert "Inner task failed" not in done.stderr
    assert "Traceback" not in done.stderr


def processes_under(folder: Path) -> list[int]:
    """Processes whose environment names a folder: the steps of runs that are kept there."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if str(folder).encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "took too long"
        time.sleep(0.1)


def test_a_killed_run_goes_on_where_it_was(command: Command, runs: Path) -> None:
    long = command("train.epochs=12", "seed=7")
    process = subprocess.Popen(long, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True)
    checkpoints = runs / "demo" / "checkpoints"
    wait_for(lambda: list(checkpoints.glob("*/epoch-00002-*.ckpt")), 300)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not processes_under(runs), 60)

    done = run(long)
    assert done.returncode == 0, done.stderr
    assert set(BEFORE_TRAIN) <= cached(latest(runs))
    log = Path(latest(runs)["steps"]["train"]["log"]).read_text()
    assert "going on from epoch-" in log
    assert "epoch 1/12" not in log
    assert "epoch 12/12" in log
