import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest

from components.shared.errors import UserError
from components.shared.training.config import TrainSection
from components.shared.training.engine import Fitted
from components.shared.training.recorder import Best, DivergedError, Epoch
from components.tune import tune as module
from components.tune.config import RangeSection, TuneSection
from components.tune.tune import tune

DrawRecords = Callable[..., Path]
OWN = TrainSection(model="resnet9", image_size=16, epochs=12, batch_size=8, step_epochs=[6])
SPACE = {"learning_rate": RangeSection(low=1e-4, high=1e-2, log=True)}


@dataclass
class Folder:
    """Where a search writes, and a way to run it."""

    records: Path
    out: Path

    def tune(self, trials: int, section: TrainSection = OWN, **settings: Any) -> dict[str, Any]:
        return tune(
            TuneSection(**({"trials": trials, "epochs": 4, "space": SPACE} | settings)),
            section,
            "classify",
            0,
            self.records,
            self.out / "trials.json",
            self.out / "report.html",
            self.out / "checkpoints",
        )

    @property
    def written(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.out / "trials.json").read_text())
        return content

    @property
    def page(self) -> str:
        return (self.out / "report.html").read_text()


@pytest.fixture
def folder(draw_records: DrawRecords, tmp_path: Path) -> Folder:
    return Folder(draw_records("classify"), tmp_path / "out")


Score = Callable[[TrainSection, int], float]


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Callable[[Score], list[TrainSection]]:
    """Return a function that has trainings replaced by a formula, and gives those asked for."""
    asked: list[TrainSection] = []

    def replace(score: Score) -> list[TrainSection]:
        def fit(section: TrainSection, *_: object, on_epoch: Any) -> Fitted:
            asked.append(section)
            best = None
            history = []
            for number in range(1, section.epochs + 1):
                value = {"loss": 1.0, "accuracy": score(section, number)}
                history.append(Epoch(number, {"loss": 1.0}, value, 0.1, 0.1))
                if best is None or value["accuracy"] > best.metrics["accuracy"]:
                    best = Best(number, value, {})
                on_epoch(history[-1], best)
            assert best is not None
            return Fitted(best, history, 0, 0.1, "fp32", "none")

        monkeypatch.setattr(module, "fit", fit)
        return asked

    return replace


def nearness(section: TrainSection, epoch: int) -> float:
    """Best at a rate of 3e-4; the config's own is 2e-3."""
    return 1 / (1 + abs(section.learning_rate - 3e-4) * 1000) - 0.01 / epoch


def test_finds_better_settings_than_the_configs(
    folder: Folder, scored: Callable[[Score], list[TrainSection]]
) -> None:
    asked = scored(nearness)
    best = folder.tune(12)
    assert asked[0].learning_rate == OWN.learning_rate
    assert 1e-4 <= best["learning_rate"] < 1e-3
    written = folder.written
    assert len(written["trials"]) == 12
    assert written["metric"] == "accuracy"
    assert [trial["own"] for trial in written["trials"]] == [True] + [False] * 11
    chosen = written["trials"][written["chosen"] - 1]
    assert chosen["settings"] == best
    assert chosen["value"] == max(trial["value"] or 0 for trial in written["trials"])
    assert "beat the config" in folder.page
    assert "What mattered" in folder.page
    assert folder.page.count("<svg") >= 2


def test_trials_are_scaled_to_their_epochs(
    folder: Folder, scored: Callable[[Score], list[TrainSection]]
) -> None:
    asked = scored(nearness)
    folder.tune(1)
    assert (asked[0].epochs, asked[0].step_epochs) == (4, [2])


def test_the_configs_settings_stay_when_nothing_beats_them(
    folder: Folder, scored: Callable[[Score], list[TrainSection]]
) -> None:
    scored(lambda section, _: 0.9 if section.learning_rate == OWN.learning_rate else 0.5)
    assert folder.tune(4) == {}
    assert folder.written["chosen"] is None
    # Equal is not better.
    scored(lambda *_: 0.9)
    assert folder.tune(4) == {}
    assert "own settings were the best" in folder.page


def test_trials_that_fall_behind_end_early(
    folder: Folder, scored: Callable[[Score], list[TrainSection]]
) -> None:
    scored(nearness)
    folder.tune(12)
    pruned = [trial for trial in folder.written["trials"] if trial["state"] == "pruned"]
    assert pruned
    assert all(len(trial["values"]) < 4 and trial["value"] is None for trial in pruned)


def test_a_trial_that_diverges_is_recorded_and_the_search_goes_on(
    folder: Folder, scored: Callable[[Score], list[TrainSection]]
) -> None:
    def diverges(section: TrainSection, epoch: int) -> float:
        if section.learning_rate > OWN.learning_rate:
            raise DivergedError("the loss is not a number")
        return nearness(section, epoch)

    scored(diverges)
    assert folder.tune(10)["learning_rate"] < OWN.learning_rate
    states = [trial["state"] for trial in folder.written["trials"]]
    assert "diverged" in states
    assert len(states) == 10


def test_a_search_goes_on_where_it_was_killed(
    folder: Folder, scored: Callable[[Score], list[TrainSection]]
) -> None:
    def killed_in_third(section: TrainSection, epoch: int) -> float:
        if len(asked) == 3 and epoch == 2:
            raise KeyboardInterrupt
        return nearness(section, epoch)

    asked = scored(killed_in_third)
    with pytest.raises(KeyboardInterrupt):
        folder.tune(5)
    assert len(folder.written["trials"]) == 2
    interrupted = asked[2].learning_rate

    asked.clear()
    asked = scored(nearness)
    folder.tune(5)
    assert len(asked) == 3
    assert asked[0].learning_rate == interrupted
    rates = [trial["settings"]["learning_rate"] for trial in folder.written["trials"]]
    assert len(set(rates)) == 5
    assert not [*(folder.out / "checkpoints").iterdir()]


def test_no_new_trial_starts_after_the_time_limit(
    folder: Folder, scored: Callable[[Score], list[TrainSection]]
) -> None:
    asked = scored(nearness)
    folder.tune(50, max_minutes=1e-6)
    assert len(asked) == 1


def test_without_trials_the_config_is_used(folder: Folder) -> None:
    assert folder.tune(0, space={}) == {}
    assert folder.written["trials"] == []
    assert "No search was asked for" in folder.page


def test_a_space_that_does_not_fit_is_refused_before_any_work(folder: Folder) -> None:
    with pytest.raises(UserError, match="did you mean 'learning_rate'"):
        folder.tune(2, space={"learning_rates": SPACE["learning_rate"]})
    assert not folder.out.exists()


def test_searches_with_real_trainings(folder: Folder) -> None:
    before = optuna.logging.get_verbosity()
    folder.tune(2, epochs=1)
    trials = folder.written["trials"]
    assert [trial["state"] for trial in trials] == ["complete", "complete"]
    assert all(set(trial["metrics"]) == {"loss", "accuracy"} for trial in trials)
    assert optuna.logging.get_verbosity() == before
