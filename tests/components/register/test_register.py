"""The registry's behaviour, on a real MLflow with a database of its own."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest

from components.register.config import RegisterSection
from components.register.mlflow_quiet import MlflowClient
from components.register.record import Candidate
from components.register.register import register
from components.shared.errors import UserError
from components.shared.table import fingerprint

MakeCandidate = Callable[..., Candidate]
ROOT = Path(__file__).resolve().parents[3]


def _register(candidate: Candidate, tmp_path: Path, **settings: str) -> dict[str, Any]:
    version = tmp_path / "out" / "version"
    register(RegisterSection(**settings), "dogs", candidate, version)
    document: dict[str, Any] = json.loads(version.read_text())
    return document


def _client(runs: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{runs / 'mlflow.db'}")


def _experiment(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name("dogs")
    assert experiment is not None
    return experiment.experiment_id


def test_a_model_becomes_a_version_with_all_that_led_to_it(
    runs: Path, tmp_path: Path, make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_CODE_VERSION", "c0ffee")
    candidate = make_candidate(model=b"first")

    version = _register(candidate, tmp_path)

    digest = hashlib.sha256(b"first").hexdigest()
    assert version["name"] == "dogs"
    assert version["version"] == "1"
    assert version["alias"] == "champion"
    assert version["model_version"] == digest
    assert version["tracking_uri"] == f"sqlite:///{runs / 'mlflow.db'}"
    assert version["created"] is True
    assert version["previous"] is None
    assert Path(urlparse(version["source"]).path).read_bytes() == b"first"

    run = _client(runs).get_run(version["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["train.epochs"] == "3"
    assert run.data.params["train.augment.mixup"] == "0.4"
    assert json.loads(run.data.params["evaluate.gate"])[0]["metric"] == "accuracy"
    assert run.data.metrics == {
        "accuracy.value": 0.75,
        "accuracy.low": 0.6,
        "accuracy.high": 0.9,
        "loss": 0.5,
    }
    assert run.data.tags["model_sha256"] == digest
    assert run.data.tags["data_fingerprint"] == fingerprint(candidate.table)
    assert run.data.tags["mlflow.source.git.commit"] == "c0ffee"
    kept = Path(urlparse(run.info.artifact_uri).path)
    assert kept.is_relative_to(runs)
    assert (kept / "config.yaml").read_text() == candidate.config_text
    assert (kept / "verdict.json").read_bytes() == candidate.verdict.read_bytes()
    assert (kept / "predictions.parquet").read_bytes() == candidate.predictions.read_bytes()
    assert not (kept / "model.tar.gz").is_symlink()


def test_the_newest_is_champion_and_the_one_before_is_previous(
    runs: Path, tmp_path: Path, make_candidate: MakeCandidate
) -> None:
    for model in (b"first", b"second", b"third"):
        last = _register(make_candidate(model=model), tmp_path)

    assert (last["version"], last["previous"]) == ("3", "2")
    aliases = _client(runs).get_registered_model("dogs").aliases
    assert {alias: str(version) for alias, version in aliases.items()} == {
        "champion": "3",
        "previous": "2",
    }


def test_registering_again_changes_nothing(
    runs: Path, tmp_path: Path, make_candidate: MakeCandidate
) -> None:
    first = _register(make_candidate(), tmp_path)
    again = _register(make_candidate(), tmp_path)

    assert again == first | {"created": False}
    assert len(_client(runs).search_model_versions("name = 'dogs'")) == 1


def test_the_same_model_judged_on_other_data_is_another_version(
    runs: Path, tmp_path: Path, make_candidate: MakeCandidate
) -> None:
    _register(make_candidate(rows=2), tmp_path)

    assert _register(make_candidate(rows=3), tmp_path)["version"] == "2"


def test_a_former_champion_that_passes_again_takes_over_again(
    runs: Path, tmp_path: Path, make_candidate: MakeCandidate
) -> None:
    _register(make_candidate(model=b"first"), tmp_path)
    _register(make_candidate(model=b"second"), tmp_path)

    back = _register(make_candidate(model=b"first"), tmp_path)

    assert (back["version"], back["previous"], back["created"]) == ("1", "2", False)
    assert str(_client(runs).get_model_version_by_alias("dogs", "previous").version) == "2"


@pytest.mark.slow
def test_settings_name_the_model_the_alias_and_the_place(
    tmp_path: Path, make_candidate: MakeCandidate
) -> None:
    uri = f"sqlite:///{tmp_path / 'elsewhere' / 'tracking.db'}"

    version = _register(
        make_candidate(), tmp_path, tracking_uri=uri, model_name="breeds", champion_alias="live"
    )

    assert (version["name"], version["alias"], version["tracking_uri"]) == ("breeds", "live", uri)
    assert version["source"].startswith((tmp_path / "elsewhere").as_uri())


@pytest.mark.slow
def test_without_a_folder_for_runs_the_registry_lies_beside_the_output(
    tmp_path: Path, make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SIGHTLINE_REGISTRY_DIR", raising=False)

    _register(make_candidate(), tmp_path)

    assert (tmp_path / "out" / "mlflow.db").is_file()


def test_more_parameters_than_one_request_takes(
    runs: Path, tmp_path: Path, make_candidate: MakeCandidate
) -> None:
    many = "\n".join(f"key{index}: {index}" for index in range(250))

    version = _register(make_candidate(config=many), tmp_path)

    params = _client(runs).get_run(version["run_id"]).data.params
    assert params == {f"key{index}": str(index) for index in range(250)}


def test_a_key_or_value_that_mlflow_would_refuse_is_fitted(
    runs: Path, tmp_path: Path, make_candidate: MakeCandidate
) -> None:
    config = f"split: {{'a=b?': train}}\nlong: {'x' * 9000}\nnone: null\n"

    version = _register(make_candidate(config=config), tmp_path)

    params = _client(runs).get_run(version["run_id"]).data.params
    assert params["split.a_b_"] == "train"
    assert params["none"] == "null"
    assert params["long"].startswith("xxx")


@pytest.mark.parametrize("passed", [False, None, "false", 1])
def test_a_model_that_did_not_pass_is_refused(
    runs: Path, tmp_path: Path, make_candidate: MakeCandidate, passed: object
) -> None:
    with pytest.raises(UserError, match="did not let this model pass"):
        _register(make_candidate(passed=passed), tmp_path)

    assert _client(runs).search_registered_models() == []


@pytest.mark.parametrize("text", ["", "[]", '{"metrics": {}}', '{"verdict": true, "metrics": {}}'])
def test_a_file_that_is_no_verdict_is_refused(
    runs: Path, tmp_path: Path, make_candidate: MakeCandidate, text: str
) -> None:
    candidate = make_candidate()
    candidate.verdict.write_text(text)

    with pytest.raises(UserError, match="not a verdict of the evaluate step"):
        _register(candidate, tmp_path)


@pytest.mark.parametrize("text", ["a: [", "just text", ""])
def test_a_config_that_is_no_mapping_is_refused(
    runs: Path, tmp_path: Path, make_candidate: MakeCandidate, text: str
) -> None:
    with pytest.raises(UserError, match="config: "):
        _register(make_candidate(config=text), tmp_path)


def test_a_run_that_breaks_off_is_marked_and_leaves_no_version(
    runs: Path, tmp_path: Path, make_candidate: MakeCandidate
) -> None:
    candidate = make_candidate()
    candidate.predictions.unlink()

    with pytest.raises(FileNotFoundError):
        _register(candidate, tmp_path)

    client = _client(runs)
    assert [run.info.status for run in client.search_runs([_experiment(client)])] == ["FAILED"]
    assert client.search_model_versions("name = 'dogs'") == []
    assert not (tmp_path / "out" / "version").exists()


def test_a_deleted_experiment_is_explained(
    runs: Path, tmp_path: Path, make_candidate: MakeCandidate
) -> None:
    _register(make_candidate(model=b"first"), tmp_path)
    client = _client(runs)
    client.delete_experiment(_experiment(client))

    with pytest.raises(UserError, match="mlflow experiments restore"):
        _register(make_candidate(model=b"second"), tmp_path)


def test_a_server_that_is_not_there_is_explained_soon(
    tmp_path: Path, make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    with pytest.raises(UserError, match=r"MLflow at http://127\.0\.0\.1:9 failed") as caught:
        _register(make_candidate(), tmp_path, tracking_uri="http://me:secret@127.0.0.1:9")

    assert "secret" not in str(caught.value)


_ONE_OF_SEVERAL = """
import pathlib, sys
from components.register.config import RegisterSection
from components.register.record import Candidate
from components.register.register import register
*paths, out = map(pathlib.Path, sys.argv[1:])
register(RegisterSection(), "dogs", Candidate("project: dogs", *paths), out)
"""


@pytest.mark.slow
def test_several_at_once_on_a_new_database(
    tmp_path: Path, make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of one model and one of another: two versions, one champion, no error, no noise."""
    runs = tmp_path / "runs"
    monkeypatch.setenv("SIGHTLINE_REGISTRY_DIR", str(runs))
    candidates = [make_candidate(model=model) for model in (b"one", b"one", b"other")]
    outputs = [tmp_path / f"out-{index}" for index in range(3)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _ONE_OF_SEVERAL, str(candidate.model), str(candidate.verdict),
             str(candidate.table), str(candidate.predictions), str(output)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for candidate, output in zip(candidates, outputs, strict=True)
    ]  # fmt: skip
    logs = [process.communicate()[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], logs
    assert all(len(log.splitlines()) == 1 for log in logs), logs
    one, same, other = (json.loads(output.read_text()) for output in outputs)
    assert one["version"] == same["version"] != other["version"]
    assert sorted([one["created"], same["created"]]) == [False, True]
    assert len(_client(runs).search_model_versions("name = 'dogs'")) == 2
