"""The tune step: search training settings on the validation images."""

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from components.shared.errors import UserError
from components.shared.recordio import RecordSet
from components.shared.signals import exit_on_sigterm
from components.shared.task import Task
from components.shared.training.checkpoints import claimed, surroundings
from components.shared.training.checks import check_settings
from components.shared.training.config import TrainSection
from components.shared.training.data import TrainingData
from components.shared.training.engine import fit
from components.shared.training.objectives import Objective, objective_class
from components.shared.training.recorder import Best, DivergedError, Epoch
from components.shared.training.settings import override
from components.tune.config import TuneSection
from components.tune.ranges import Value, own_values
from components.tune.report import write_report
from components.tune.space import suggest
from components.tune.trials import Trial, Trials, finished, write_trials

_STARTUP = 4  # trials drawn at random before the search learns from them


@dataclass
class _Search:
    """One search, and what it needs for a trial."""

    section: TuneSection
    base: TrainSection
    task: Task
    seed: int
    records: Path
    study: optuna.Study
    own: dict[str, Value]
    objective: type[Objective]
    _data: dict[int, TrainingData] = field(default_factory=dict)

    def run_trial(self) -> None:
        """Train with the next settings, and tell the study what came of it."""
        trial = self.study.ask()
        began = time.monotonic()
        settings = suggest(trial, self.section.space, self.own)
        trial.set_user_attr("settings", settings)
        value, state = None, TrialState.COMPLETE
        try:
            best = self._fit(trial, override(self.base, settings))
            value = best.metrics[self.objective.metric]
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except (UserError, torch.OutOfMemoryError) as error:
            # Each value may be fine, and their combination not. The config's own must be.
            if settings == self.own and not isinstance(error, DivergedError):
                raise
            state = TrialState.FAIL
            trial.set_user_attr("reason", str(error))
        trial.set_user_attr("seconds", time.monotonic() - began)
        self.study.tell(trial, value, state)

    def _fit(self, trial: optuna.Trial, section: TrainSection) -> Best:
        def report(epoch: Epoch, best: Best) -> None:
            trial.report(epoch.val[self.objective.metric], epoch.number)
            trial.set_user_attr("metrics", best.metrics)
            trial.set_user_attr("epochs", epoch.number)
            if epoch.number < section.epochs and trial.should_prune():
                raise optuna.TrialPruned

        return fit(section, self._images(section.image_size), self.seed, on_epoch=report).best

    def _images(self, size: int) -> TrainingData:
        if size not in self._data:
            self._data.clear()  # one size in memory at a time
            self._data[size] = TrainingData(self.records, self.task, size)
        return self._data[size]


def tune(
    section: TuneSection,
    train_section: TrainSection,
    task: Task,
    seed: int,
    records: Path,
    trials: Path,
    report: Path,
    checkpoints: Path,
) -> dict[str, Value]:
    """Search training settings with Optuna's tree-structured Parzen estimator.

    The first trial is the config's own settings. Trials train for `section.epochs`, their
    schedule scaled to these, and are judged on the validation images; those that fall behind
    the median of others are ended early. The test images are not read.

    Args:
        section: the search.
        train_section: the config's own training settings.
        task: what the records' labels are for.
        seed: of the search and of every trial.
        records: folder of RecordIO files.
        trials: JSON to write: every trial's settings and results, rewritten after each.
        report: the HTML page to write.
        checkpoints: folder in which an interrupted search leaves its trials; the same search
            started again goes on from there.

    Returns:
        The best settings by dotted key; empty if none beat the config's own, or none was asked.

    Raises:
        UserError: if the space and the train section do not fit together.
    """
    check_settings(train_section, task)
    own = own_values(section.space, train_section, task)
    objective = objective_class(task)
    found = Trials(task, objective.metric, objective.higher, section.epochs, own, [])
    if section.trials == 0:
        write_trials(trials, found)
        write_report(report, found, {})
        print("tune.trials is 0: training uses the config's settings")
        return {}
    key = _key(section, train_section, task, seed, records)
    with exit_on_sigterm(), claimed(checkpoints, key) as kept, _quiet():
        base = _scaled(train_section, section.epochs)
        study = _study(kept.folder / "study.journal", seed, own, objective)
        search = _Search(section, base, task, seed, records, study, own, objective)
        found = _search(search, found, trials)
        write_report(report, found, _importances(study, seed))
    chosen = found.chosen
    _conclude(found, chosen)
    return dict(chosen.settings) if chosen else {}


def _search(search: _Search, found: Trials, path: Path) -> Trials:
    began = time.monotonic()
    limit = search.section.max_minutes
    found = found.with_trials(finished(search.study))
    write_trials(path, found)
    while len(found.trials) < search.section.trials:
        if limit is not None and found.trials and time.monotonic() - began > limit * 60:
            print(f"tune.max_minutes: no new trial after {limit:g} minutes", file=sys.stderr)
            break
        search.run_trial()
        found = found.with_trials(finished(search.study))
        write_trials(path, found)
        _say(found.trials[-1], found, search.section.trials)
    return found


def _study(
    journal: Path, seed: int, own: dict[str, Value], objective: type[Objective]
) -> optuna.Study:
    """Open the search where it was left, or begin it with the config's own settings."""
    storage = JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.create_study(
        study_name="tune",
        storage=storage,
        direction="maximize" if objective.higher else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
        load_if_exists=True,
    )
    before = study.get_trials(deepcopy=False)
    # Each start draws other settings: a resumed search must not repeat its first draws.
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=_STARTUP, seed=seed + len(before))
    if not before:
        study.enqueue_trial(own, user_attrs={"own": True})
    for trial in before:
        if trial.state == TrialState.RUNNING:  # its process was killed
            study.tell(trial.number, state=TrialState.FAIL)
            attributes = {"own": True} if trial.user_attrs.get("own") else {}
            study.enqueue_trial(trial.params or own, user_attrs=attributes)
    return study


def _scaled(section: TrainSection, epochs: int) -> TrainSection:
    """Return the settings for trials of so many epochs, the schedule's steps moved with them."""
    share = epochs / section.epochs
    steps = sorted({max(1, round(epoch * share)) for epoch in section.step_epochs})
    return override(section, {"epochs": epochs, "step_epochs": steps})


def _importances(study: optuna.Study, seed: int) -> dict[str, float]:
    """Return how much of the metric's variance each setting explains; empty with few trials."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({trial.value for trial in complete}) < _STARTUP:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    found: dict[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return found


def _key(
    section: TuneSection, train_section: TrainSection, task: Task, seed: int, records: Path
) -> str:
    search = section.model_dump(mode="json", exclude={"trials", "max_minutes"})
    parts = [
        "tune",
        search,
        train_section.model_dump(mode="json"),
        task,
        seed,
        RecordSet(records).digest(),
        surroundings(train_section),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _say(trial: Trial, found: Trials, total: int) -> None:
    settings = ", ".join(f"{key} {value}" for key, value in trial.settings.items())
    best = found.best
    told = f"{found.metric} {trial.value:.4f}" if trial.value is not None else trial.state
    print(
        f"trial {len(found.trials)}/{total}{' (the config)' if trial.own else ''}: {settings}: "
        f"{told}" + (f" (best {best.value:.4f})" if best else "") + f", {trial.seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )


def _conclude(found: Trials, chosen: Trial | None) -> None:
    if chosen is None:
        print(f"none of {len(found.trials)} trials beat the config's own settings")
        return
    settings = ", ".join(f"{key}={value}" for key, value in chosen.settings.items())
    print(f"trial {chosen.number} is the best: {settings}; {found.metric} {chosen.value:.4f}")


@contextmanager
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
