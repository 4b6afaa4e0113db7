import os
import time
from pathlib import Path

import pytest

from components.shared.training.checkpoints import Checkpoints, claimed


def save(checkpoints: Checkpoints, epoch: int, text: str) -> None:
    def write(path: Path) -> None:
        path.write_text(text)

    checkpoints.save(epoch, write)


def test_two_at_once_do_not_share_a_folder(tmp_path: Path) -> None:
    with claimed(tmp_path, "key") as one, claimed(tmp_path, "key") as other:
        assert one.folder != other.folder
        save(one, 1, "one")
        assert other.newest() is None
    assert not [*tmp_path.iterdir()]


def test_what_failed_is_found_again_and_what_succeeded_is_gone(tmp_path: Path) -> None:
    def interrupted() -> None:
        with claimed(tmp_path, "key") as first:
            save(first, 1, "state")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with claimed(tmp_path, "key") as again:
        newest = again.newest()
        assert newest is not None
        assert newest.read_text() == "state"
    with claimed(tmp_path, "key") as fresh:
        assert fresh.newest() is None


def test_the_newest_whole_checkpoint_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints = Checkpoints(tmp_path)
    for epoch in (9, 10, 11):
        save(checkpoints, epoch, f"state {epoch}")
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.read_text() == "state 11"
    newest.write_text("state 1X")
    before = checkpoints.newest()
    assert before is not None
    assert before.read_text() == "state 10"
    assert "damaged" in capsys.readouterr().out
    before.write_text("")
    assert checkpoints.newest() is None


def test_what_nobody_goes_on_with_is_deleted_in_the_end(tmp_path: Path) -> None:
    def interrupted(key: str) -> None:
        with claimed(tmp_path, key) as checkpoints:
            save(checkpoints, 1, "state")
            raise KeyboardInterrupt

    for key in ("old", "new"):
        with pytest.raises(KeyboardInterrupt):
            interrupted(key)
    month_ago = time.time() - 30 * 24 * 3600
    os.utime(tmp_path / "old", (month_ago, month_ago))
    with claimed(tmp_path, "another"):
        assert {path.name for path in tmp_path.iterdir()} == {"new", "another"}
