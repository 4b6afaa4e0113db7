"""The trials of a search, as they are written and reported."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, Self

import optuna
from optuna.trial import FrozenTrial, TrialState

from components.shared.files import write_text
from components.shared.task import Task
from components.tune.ranges import Value

State = Literal["complete", "pruned", "diverged"]


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        number: 1 is the first.
        own: whether its settings are the config's own.
        state: `pruned` if it was ended early, `diverged` if its loss was no longer a number.
        settings: by dotted key.
        value: of the search's metric at its best epoch; None unless complete.
        metrics: all validation metrics at its best epoch.
        values: of the search's metric, epoch by epoch.
        seconds: it took.
    """

    number: int
    own: bool
    state: State
    settings: dict[str, Value]
    value: float | None
    metrics: dict[str, float]
    values: list[float]
    seconds: float


@dataclass(frozen=True)
class Trials:
    """A search and its trials so far.

    Attributes:
        task: what was trained for.
        metric: on the validation images, by which trials are judged.
        higher: whether more of it is better.
        epochs: of a trial.
        own: the config's own values.
        trials: in the order in which they ended.
    """

    task: Task
    metric: str
    higher: bool
    epochs: int
    own: dict[str, Value]
    trials: list[Trial]

    def with_trials(self, trials: list[Trial]) -> Self:
        """Return the search with these trials."""
        return replace(self, trials=trials)

    @property
    def best(self) -> Trial | None:
        """The best complete trial; of equals the earlier, so the config's own before others."""
        complete = [trial for trial in self.trials if trial.value is not None]
        sign = 1 if self.higher else -1
        return max(complete, key=lambda trial: sign * (trial.value or 0), default=None)

    @property
    def chosen(self) -> Trial | None:
        """The best trial if it beat the config's own settings."""
        best = self.best
        return None if best is None or best.own else best


def finished(study: optuna.Study) -> list[Trial]:
    """Return the trials of a study that ended, and not because the process was killed."""
    frozen = study.get_trials(
        deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    )
    ended = [one for one in frozen if "seconds" in one.user_attrs]
    return [_trial(number, one) for number, one in enumerate(ended, start=1)]


def write_trials(path: Path, found: Trials) -> None:
    """Write a search as JSON, whole or not at all."""
    best, chosen = found.best, found.chosen
    content = asdict(found) | {
        "best": best.number if best else None,
        "chosen": chosen.number if chosen else None,
    }
    write_text(path, json.dumps(content, indent=2) + "\n")


def _trial(number: int, frozen: FrozenTrial) -> Trial:
    attributes = frozen.user_attrs
    states: dict[TrialState, State] = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "diverged",
    }
    is_complete = frozen.state == TrialState.COMPLETE
    return Trial(
        number=number,
        own=bool(attributes.get("own")),
        state=states[frozen.state],
        settings=attributes["settings"],
        value=frozen.value if is_complete else None,
        metrics=attributes.get("metrics", {}),
        values=[value for _, value in sorted(frozen.intermediate_values.items())],
        seconds=attributes["seconds"],
    )
