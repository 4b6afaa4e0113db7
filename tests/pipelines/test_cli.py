from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.local.summary import Failure, StepSummary, Summary, write_summary

ROOT = Path(__file__).resolve().parents[2]
DEMO = str(ROOT / "configs" / "demo.yaml")


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_help_names_every_command() -> None:
    code, out, _ = invoke("--help")
    assert code == 0
    for command in ("check", "compile", "run", "report", "serve", "runs"):
        assert command in out


def test_check_prints_every_setting() -> None:
    code, out, err = invoke("check", DEMO, "--set", "train.epochs=3")
    assert code == 0, err
    assert yaml.safe_load(out)["train"]["epochs"] == 3
    assert yaml.safe_load(out)["predict"]["batch_size"] > 0
    assert "valid" in err


@pytest.mark.parametrize("command", ["check", "compile", "run", "report", "serve"])
def test_a_mistake_ends_with_its_message_and_no_traceback(command: str) -> None:
    code, _, err = invoke(command, "nowhere.yaml")
    assert code == 2
    assert "error: nowhere.yaml: cannot be read" in err
    assert "Traceback" not in err


def test_compile_writes_where_it_is_told(tmp_path: Path) -> None:
    output = tmp_path / "sub" / "pipeline.yaml"
    code, out, err = invoke("compile", DEMO, "--target", "kubeflow", "--output", str(output))
    assert code == 0, err
    assert out.strip() == str(output)
    assert "sightline-training" in output.read_text()


def test_a_path_of_this_machine_is_pointed_out_to_who_compiles_for_a_cluster(
    tmp_path: Path,
) -> None:
    sets = ("--set", "ingest.format=voc", "--set", f"ingest.uri={tmp_path}")
    output = str(tmp_path / "pipeline.yaml")
    code, _, err = invoke("compile", DEMO, "--target", "kubeflow", "--output", output, *sets)
    assert code == 0
    assert f"ingest.uri is {tmp_path}; the cluster needs it" in err
    assert "register.tracking_uri is empty; on a cluster the registry would end" in err
    assert "placement.registry is empty" in err


@pytest.mark.parametrize("command", ["report", "serve"])
def test_without_a_run_there_is_nothing_to_show(command: str, tmp_path: Path) -> None:
    code, _, err = invoke(command, DEMO, "--runs", str(tmp_path))
    assert code == 2
    assert "no run of this project has a" in err


def test_a_folder_of_runs_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, err = invoke("run", DEMO, "--runs", str(tmp_path / "file"))
    assert code == 2
    assert "cannot be made a folder of runs" in err


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs: one that passed, one that failed, one that was killed."""
    step = StepSummary(status="succeeded", seconds=1, cached=False, log=None)
    common = {"project": "demo", "task": "count", "config": "c.yaml", "steps": {"ingest": step}}
    passed = Summary(
        status="succeeded", run="20260101-000000", metrics={"rmse": 0.5, "accuracy": 0.7}, **common
    )
    failed = Summary(
        status="failed",
        run="20260102-000000",
        error=Failure(message="m", step="train", log="l"),
        **common,
    )
    for summary in (passed, failed):
        folder = tmp_path / "demo" / summary.run
        folder.mkdir(parents=True)
        write_summary(summary, folder)
    (tmp_path / "demo" / "20260103-000000").mkdir()
    return tmp_path


def test_runs_lists_outcomes_newest_first(runs: Path) -> None:
    code, out, _ = invoke("runs", str(runs))
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert [line[2] for line in lines] == ["unfinished", "failed", "succeeded"]
    assert "rmse 0.5  accuracy 0.7" in out


def test_a_damaged_summary_hides_no_other_run(runs: Path) -> None:
    (runs / "demo" / "20260102-000000" / "summary.json").write_text("{broken")
    code, out, err = invoke("runs", str(runs))
    assert code == 0
    assert len(out.splitlines()) == 3
    assert "20260102-000000/summary.json is damaged" in err


def test_no_runs_names_the_way_to_one(tmp_path: Path) -> None:
    code, _, err = invoke("runs", str(tmp_path))
    assert code == 2
    assert "./sightline run configs/demo.yaml" in err
