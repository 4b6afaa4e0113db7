"""The local runner against real kfp: compiled components, real processes, kfp's own cache."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kfp import dsl

from pipelines.local.handlers import Session, VenvTaskHandler, installed
from pipelines.local.journal import Journal


@dsl.component(base_image="sightline/pipelines:write-test", install_kfp_package=False)
def write(text: str, result: dsl.Output[dsl.Dataset]) -> None:
    from pathlib import Path

    print("writing", text)
    Path(result.path).write_text(text)


@dsl.component(base_image="sightline/pipelines:write-test", install_kfp_package=False)
def shout(fail: bool, source: dsl.Input[dsl.Dataset], metrics: dsl.Output[dsl.Metrics]) -> str:
    import sys
    from pathlib import Path

    metrics.log_metric("loudness", 11)

    if fail:
        print("error: row 7 has no python3", file=sys.stderr)
        sys.exit(1)
    return Path(source.path).read_text().upper()


@dsl.component(base_image="sightline/pipelines:write-test", install_kfp_package=False)
def environment() -> str:
    import json
    import os
    import sys

    return json.dumps([sys.prefix, os.environ["SIGHTLINE_TEST"]])


@dsl.component(base_image="sightline/pipelines:edited-test", install_kfp_package=False)
def edited() -> str:
    return "old"


@dsl.component(base_image="sightline/nowhere:test", install_kfp_package=False)
def misplaced() -> str:
    return "never"


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(
        "pipelines.local.journaled_cache.is_current", lambda image, _: "edited" not in image
    )
    session = Session(Journal(steps=2), tmp_path / "logs", {"SIGHTLINE_TEST": "yes"})
    with installed(session, "venv", tmp_path / "root", tmp_path / "cache"):
        yield session


@dsl.pipeline(name="two-steps")
def two_steps(text: str, fail: bool) -> str:
    shouted: str = shout(fail=fail, source=write(text=text).outputs["result"]).outputs["Output"]
    return shouted


def outcome(session: Session) -> list[tuple[str, str, bool]]:
    return [(r.name, r.status, r.cached) for r in session.journal.records]


def test_a_pipeline_runs_each_step_and_keeps_its_log(session: Session) -> None:
    # kfp's own subprocess runner would rewrite the word python3 in inputs.
    result = two_steps(text="use python3 here", fail=False)
    assert result.output == "USE PYTHON3 HERE"
    assert outcome(session) == [("write", "succeeded", False), ("shout", "succeeded", False)]
    assert "writing use python3 here" in (session.logs / "write.log").read_text()
    written = session.journal.records[0].artifacts["result"]
    assert written.read_text() == "use python3 here"


def test_a_failure_names_its_step_and_keeps_the_cause(session: Session) -> None:
    with pytest.raises(RuntimeError):
        two_steps(text="a", fail=True)
    assert outcome(session) == [("write", "succeeded", False), ("shout", "failed", False)]
    assert "error: row 7 has no python3" in (session.logs / "shout.log").read_text()


def test_a_rerun_redoes_only_what_failed(session: Session) -> None:
    with pytest.raises(RuntimeError):
        two_steps(text="a", fail=True)
    session.journal.records.clear()
    two_steps(text="a", fail=False)
    assert outcome(session) == [("write", "succeeded", True), ("shout", "succeeded", False)]
    session.journal.records.clear()
    two_steps(text="b", fail=False)
    assert [cached for _, _, cached in outcome(session)] == [False, False]


def test_a_step_that_logs_metrics_is_spared_too_and_they_can_be_read(session: Session) -> None:
    two_steps(text="a", fail=False)
    two_steps(text="a", fail=False)
    assert [cached for _, _, cached in outcome(session)] == [False, False, True, True]
    assert json.loads(session.journal.records[3].artifacts["metrics"].read_text()) == {
        "loudness": 11
    }


@pytest.mark.parametrize("content", ["[]", "{broken", '{"result": {"__kfp_artifact__": true}}'])
def test_a_damaged_cache_entry_is_none(session: Session, tmp_path: Path, content: str) -> None:
    two_steps(text="a", fail=False)
    for entry in (tmp_path / "cache").glob("*.json"):
        entry.write_text(content)
    two_steps(text="a", fail=False)
    assert len(session.journal.records) == 4


def test_what_was_edited_while_it_ran_is_not_kept(session: Session) -> None:
    edited()
    edited()
    assert [cached for _, _, cached in outcome(session)] == [False, False]


def test_a_fresh_run_does_every_step(tmp_path: Path, session: Session) -> None:
    two_steps(text="a", fail=False)
    with installed(session, "venv", tmp_path / "root", tmp_path / "cache", fresh=True):
        two_steps(text="a", fail=False)
    assert not any(cached for _, _, cached in outcome(session))


def test_a_step_runs_in_the_environment_of_its_image(session: Session) -> None:
    assert ".venvs/pipelines" in environment().output
    assert '"yes"' in environment().output


def test_an_image_without_an_environment_is_named(session: Session) -> None:
    with pytest.raises(RuntimeError):
        misplaced()
    assert "nowhere is not set up; run 'make setup'" in (session.logs / "misplaced.log").read_text()


def test_without_an_engine_the_docker_runner_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    session = Session(Journal(steps=1), tmp_path / "logs")
    with (
        installed(session, "docker", tmp_path / "root", tmp_path / "cache"),
        pytest.raises(RuntimeError),
    ):
        write(text="a")
    assert "no container engine answers" in (session.logs / "write.log").read_text()
    assert os.environ["DOCKER_HOST"].endswith("no.sock")


def test_a_fault_of_the_runner_itself_ends_the_step_in_order(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise ConnectionError("the engine is gone")

    monkeypatch.setattr(VenvTaskHandler, "execute", broken)
    with pytest.raises(RuntimeError):
        two_steps(text="a", fail=False)
    assert outcome(session) == [("write", "failed", False)]
    assert "ConnectionError: the engine is gone" in (session.logs / "write.log").read_text()


def test_an_artifact_that_has_changed_is_made_again(session: Session) -> None:
    two_steps(text="a", fail=False)
    written = session.journal.records[0].artifacts["result"]
    written.write_text("")  # as a full disk may leave it
    two_steps(text="a", fail=False)
    assert [cached for _, _, cached in outcome(session)][2:] == [False, False]
    assert session.journal.records[2].artifacts["result"].read_text() == "a"
