"""The tune step's page: what was tried, what came of it, and what mattered."""

from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from components.shared.report import MUTED, SERIES, Report
from components.tune.trials import Trial, Trials

_SIZE = (5.2, 3.2)  # inches


def write_report(path: Path, found: Trials, importances: Mapping[str, float]) -> None:
    """Write a search as one HTML page.

    Args:
        path: the page.
        found: the search.
        importances: share of the metric's variance that each setting explains; may be empty.
    """
    report = Report("Tuning", f"task {found.task}, judged by validation {found.metric}")
    _add_verdict(report, found)
    if found.trials:
        _add_trials(report, found)
        _add_importances(report, importances)
    report.write(path)


def _add_verdict(report: Report, found: Trials) -> None:
    best, chosen = found.best, found.chosen
    if not found.trials:
        report.banner(
            "No search was asked for",
            ["Training uses the config's settings.", "Set tune.trials and tune.space to search."],
        )
    elif best is None:
        report.banner("No trial came to its end", ["Training uses the config's settings."], "bad")
    elif chosen is None:
        report.banner(
            "The config's own settings were the best",
            [f"{found.metric} {best.value:.4f}; training uses them."],
        )
    else:
        own = next((trial.value for trial in found.trials if trial.own), None)
        compared = "" if own is None else f"; the config's own settings reached {own:.4f}"
        settings = ", ".join(f"{key} = {value}" for key, value in chosen.settings.items())
        report.banner(
            f"Trial {chosen.number} beat the config's own settings",
            [f"{found.metric} {chosen.value:.4f}{compared}.", f"Training uses {settings}."],
            "good",
        )


def _add_trials(report: Report, found: Trials) -> None:
    report.section(
        "Trials",
        f"Each trained for up to {found.epochs} epochs, its schedule scaled to these, and was "
        "judged on the validation images at its best epoch. With few validation images, small "
        "differences are chance.",
    )
    better = "more" if found.higher else "less"
    report.figure(
        _by_trial(found),
        f"{found.metric} of each trial, and the best so far",
        f"{found.metric} by trial; {better} is better.",
    )
    report.figure(
        _by_epoch(found), f"{found.metric} by epoch, a line a trial", f"{found.metric} by epoch."
    )
    keys = list(found.own)
    report.table(
        ["trial", "state", found.metric, *keys, "epochs", "seconds"],
        [_row(trial, keys) for trial in found.trials],
    )


def _row(trial: Trial, keys: list[str]) -> list[object]:
    state = f"{trial.state} (the config)" if trial.own else trial.state
    settings = [trial.settings.get(key) for key in keys]
    return [trial.number, state, trial.value, *settings, len(trial.values), round(trial.seconds, 1)]


def _by_trial(found: Trials) -> Figure:
    figure = Figure(_SIZE, layout="constrained")
    axes = figure.subplots()
    points = [(trial.number, trial.value) for trial in found.trials if trial.value is not None]
    numbers, values = [number for number, _ in points], [value for _, value in points]
    axes.plot(numbers, values, "o", color=SERIES[0], label="trial")
    bests = list(accumulate(values, max if found.higher else min))
    axes.step(numbers, bests, where="post", color=SERIES[1], label="best so far")
    axes.set(xlabel="trial", ylabel=found.metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=MUTED, alpha=0.3, linewidth=0.5)
    axes.legend(frameon=False)
    return figure


def _by_epoch(found: Trials) -> Figure:
    figure = Figure(_SIZE, layout="constrained")
    axes = figure.subplots()
    best = found.best
    for trial in found.trials:
        is_best = best is not None and trial.number == best.number
        color, width = (SERIES[1], 2.0) if is_best else (SERIES[0], 0.8)
        label = f"trial {trial.number}, the best" if is_best else None
        epochs = range(1, len(trial.values) + 1)
        axes.plot(epochs, trial.values, ".-", color=color, linewidth=width, label=label)
    axes.set(xlabel="epoch", ylabel=found.metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=MUTED, alpha=0.3, linewidth=0.5)
    if best is not None:
        axes.legend(frameon=False)
    return figure


def _add_importances(report: Report, importances: Mapping[str, float]) -> None:
    report.section(
        "What mattered",
        "The share of the metric's variance among complete trials that each setting explains "
        "(functional analysis of variance).",
    )
    if not importances:
        report.note("Too few complete trials to tell.")
        return
    names = list(importances)[::-1]
    figure = Figure((5.2, 0.8 + 0.35 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, [importances[name] for name in names], color=SERIES[0])
    axes.set(xlabel="share of the variance", xlim=(0, 1))
    report.figure(figure, "importance of each setting", "Importance by setting.")
