import io
from pathlib import Path

import pytest

from pipelines.local.journal import Journal, StepRecord, tail


def test_every_step_gets_a_line_with_its_outcome() -> None:
    stream = io.StringIO()
    journal = Journal(steps=2, stream=stream)
    journal.begin("ingest")
    journal.end(StepRecord("ingest", "succeeded", 1.25, cached=False))
    journal.end(StepRecord("split", "succeeded", 0, cached=True))
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("[ 1/2] ingest")
    assert "succeeded in 1.2 s" in lines[1]
    assert lines[2].startswith("[ 2/2] split")
    assert "cached" in lines[2]


def test_a_long_step_is_seen_to_move(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("pipelines.local.journal.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    journal = Journal(steps=1, stream=stream)
    journal.begin("train")
    journal.echo("too early\n")
    now[0] = 30.0
    journal.echo("[KFP Executor 2026] noise\n")
    journal.echo("epoch 1/9\repoch \x1b[32m2/9\x1b[0m\n")
    journal.echo("just echoed\n")
    assert "epoch 2/9" in stream.getvalue()
    assert not any(text in stream.getvalue() for text in ("too early", "noise", "just echoed"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\nerror: row 3 is wrong\nexpected x\n", ["error: row 3 is wrong", "expected x"]),
        ("\n".join(str(n) for n in range(50)), [str(n) for n in range(35, 50)]),
        ("", []),
    ],
)
def test_the_end_of_a_log_holds_the_cause(tmp_path: Path, text: str, expected: list[str]) -> None:
    log = tmp_path / "step.log"
    log.write_text(text)
    assert tail(log) == expected


def test_a_missing_log_has_no_end(tmp_path: Path) -> None:
    assert tail(tmp_path / "none.log") == []
