"""Progress: a plain line now and then, and nothing for short work."""

import sys
from collections.abc import Iterator

import pytest

from components.shared.progress import duration, line, progress


@pytest.mark.parametrize(
    ("done", "total", "seconds", "text"),
    [
        (1200, 5000, 3.4286, "reading: 1,200/5,000 (24%) 350/s, 11 s left"),
        (5000, 5000, 10.0, "reading: 5,000/5,000 (100%) 500/s"),
        (7, None, 2.0, "reading: 7 3.5/s"),
        (1, 3, 3600.0, "reading: 1/3 (33%) 0.00028/s, 2 h 0 min left"),
    ],
)
def test_line(done: int, total: int | None, seconds: float, text: str) -> None:
    assert line("reading", done, total, seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (250, "4 min 10 s"), (7500, "2 h 5 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_items_pass_through_and_short_work_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(5), 5, "reading")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""


def test_a_log_gets_lines_and_a_last_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(3), 3, "reading", every=0.0)) == [0, 1, 2]
    lines = capsys.readouterr().err.splitlines()
    assert [text.split(" (")[0] for text in lines] == [
        "reading: 1/3", "reading: 2/3", "reading: 3/3"
    ]  # fmt: skip


def test_a_terminal_gets_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(progress(range(3), 3, "reading")) == [0, 1, 2]
    assert "3/3" in capsys.readouterr().err


def test_it_is_lazy() -> None:
    taken = []

    def work() -> Iterator[int]:
        for item in range(10):
            taken.append(item)
            yield item

    steps = progress(work(), 10, "reading")
    assert next(steps) == 0
    assert taken == [0]
