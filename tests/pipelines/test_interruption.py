"""A step that is killed at any moment, and done again, gives what an undisturbed one gives."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.images import ROOT, environment
from pipelines.training import STEP_IMAGES

pytestmark = pytest.mark.slow

KILLS = 20
ORDER = ("ingest", "split", "augment", "im2rec")  # each works on what those before it wrote

Interrupt = Callable[[str], dict[str, int]]


@pytest.fixture(scope="module")
def interrupt(tmp_path_factory: pytest.TempPathFactory) -> Interrupt:
    """Kill and repeat a step in the environment of its image, after the steps before it."""
    data, work = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("work")
    done: dict[str, dict[str, int]] = {}

    def one(step: str) -> dict[str, int]:
        python = ROOT / ".venvs" / environment(STEP_IMAGES[step]) / "bin" / "python"
        script = Path(__file__).with_name("interruption.py")
        ran = subprocess.run(
            [python, script, step, data, work, str(KILLS)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        found: dict[str, int] = json.loads(ran.stdout.splitlines()[-1])
        return found

    def interrupt(step: str) -> dict[str, int]:
        for name in ORDER[: ORDER.index(step) + 1]:
            if name not in done:
                done[name] = one(name)
        return done[step]

    return interrupt


@pytest.mark.parametrize("step", ORDER)
def test_a_step_killed_at_random_points_is_done_again_the_same(
    step: str, interrupt: Interrupt
) -> None:
    assert interrupt(step) == {"killed": KILLS, "different": 0}
