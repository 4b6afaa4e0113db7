"""The train step's page: how the training went."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from components.shared.archive import ModelCard
from components.shared.report import MUTED, SERIES, Report, Tile
from components.shared.training.engine import Fitted
from components.shared.training.recorder import Epoch

_SIZE = (5.2, 3.2)  # inches
_LONGEST_TABLE = 200  # epochs


def write_report(
    path: Path, card: ModelCard, fitted: Fitted, hyperparameters: Mapping[str, object]
) -> None:
    """Write curves, settings and figures of a training as one HTML page.

    Args:
        path: the page.
        card: of the model that came out.
        fitted: what training gave.
        hyperparameters: settings that did not come from the config, but from tuning.
    """
    report = Report("Training", f"{card.name}, task {card.task}, seed {card.seed}")
    report.tiles(_tiles(card, fitted))
    report.section("Curves", _reading(fitted))
    for name in ("loss", *(key for key in card.metrics if key != "loss")):
        figure = _curve(fitted.history, name, fitted.best.epoch)
        alt = f"{name} of each epoch, training and validation"
        report.figure(figure, alt, f"{_title(name)} by epoch; the dot is the epoch that was kept.")
    report.figure(_rates(fitted.history), "learning rate of each epoch", "Learning rate by epoch.")
    report.section("Settings")
    report.table(["setting", "value", "from"], _settings(card.settings, hyperparameters))
    report.section("Data and machine")
    report.table(["what", "value"], _facts(card, fitted))
    report.section("Epochs")
    _add_epochs(report, fitted)
    report.write(path)


def _tiles(card: ModelCard, fitted: Fitted) -> Iterator[Tile]:
    for name, value in card.metrics.items():
        yield Tile(f"Validation {name}", value, f"{card.data['val']:,} images")
    yield Tile("Epoch kept", fitted.best.epoch, f"of {len(fitted.history)}")
    yield Tile(
        "Training time", f"{fitted.seconds:,.0f} s", f"{fitted.precision} on {fitted.device}"
    )


def _reading(fitted: Fitted) -> str:
    text = (
        "Training figures are of the images as they were changed for training, so they can be "
        "worse than validation's. Where validation turns worse while training goes on getting "
        "better, the model learns its images by heart."
    )
    if fitted.resumed_epochs:
        text += (
            f"\n\nThe training was interrupted, and went on after epoch {fitted.resumed_epochs}."
        )
    return text


def _curve(history: list[Epoch], name: str, kept: int) -> Figure:
    figure = Figure(_SIZE, layout="constrained")
    axes = figure.subplots()
    numbers = [epoch.number for epoch in history]
    marker = "." if len(history) == 1 else None
    if name in history[0].train:
        values = [epoch.train[name] for epoch in history]
        axes.plot(numbers, values, color=SERIES[1], label="training", marker=marker)
    values = [epoch.val[name] for epoch in history]
    axes.plot(numbers, values, color=SERIES[0], label="validation", marker=marker)
    axes.plot(kept, values[kept - 1], "o", color=SERIES[0], markersize=6)
    axes.set(xlabel="epoch", ylabel=_title(name))
    axes.grid(color=MUTED, alpha=0.3, linewidth=0.5)
    axes.legend(frameon=False)
    return figure


def _rates(history: list[Epoch]) -> Figure:
    figure = Figure(_SIZE, layout="constrained")
    axes = figure.subplots()
    numbers = [epoch.number for epoch in history]
    axes.plot(numbers, [epoch.learning_rate for epoch in history], color=SERIES[0], marker=".")
    axes.set(xlabel="epoch", ylabel="learning rate at its end", ylim=(0, None))
    axes.grid(color=MUTED, alpha=0.3, linewidth=0.5)
    return figure


def _title(name: str) -> str:
    return {"ap": "AP", "ap50": "AP50", "rmse": "RMSE"}.get(name, name)


def _settings(
    settings: Mapping[str, Any], hyperparameters: Mapping[str, object], prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    for name, value in settings.items():
        key = prefix + name
        if isinstance(value, dict):
            yield from _settings(value, hyperparameters, f"{key}.")
        else:
            yield key, str(value), "tuning" if key in hyperparameters else "config"


def _facts(card: ModelCard, fitted: Fitted) -> Iterable[tuple[str, object]]:
    yield "training images", card.data["train"]
    yield "validation images", card.data["val"]
    yield "data fingerprint", card.data["fingerprint"]
    if card.classes:
        yield "classes", ", ".join(card.classes)
    else:
        yield "counts", f"0 to {card.outputs - 1}"
    yield "precision", fitted.precision
    yield "device", fitted.device
    yield from card.libraries.items()


def _add_epochs(report: Report, fitted: Fitted) -> None:
    shown = fitted.history[-_LONGEST_TABLE:]
    if len(shown) < len(fitted.history):
        report.note(f"The last {_LONGEST_TABLE} of {len(fitted.history):,} epochs.")
    metrics = list(shown[0].val)
    headers = ["epoch", "training loss", *(f"validation {name}" for name in metrics)]
    rows = (
        [
            epoch.number,
            epoch.train["loss"],
            *(epoch.val[name] for name in metrics),
            epoch.learning_rate,
            round(epoch.seconds, 2),
        ]
        for epoch in shown
    )
    report.table([*headers, "learning rate", "seconds"], rows)
