"""The plots of the evaluation report. Colours are matplotlib's; the page exchanges them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from components.evaluate.measured import Confusion, Floats, Integers
from components.shared.report import BAD, GOOD, MUTED, SERIES

_SIZE = (5.2, 3.8)  # inches: readable on a phone
_NUMBERED = 12  # classes up to which a confusion matrix has numbers
_NAMED = 30  # classes up to which its axes have names
_LEGEND = 8  # curves with a name of their own


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def confusion_plot(confusion: Confusion) -> Figure:
    """Rows are the truth, shaded by the share of the row; numbers are images."""
    figure, axes = _axes("predicted", "true")
    size = len(confusion.labels)
    shares = confusion.matrix / np.maximum(confusion.matrix.sum(axis=1, keepdims=True), 1)
    for row, column in np.argwhere(confusion.matrix > 0):
        color = SERIES[0] if row == column else SERIES[1]
        # Shading by opacity suits a light and a dark page alike; 0.75 keeps numbers readable.
        alpha = 0.08 + 0.62 * float(shares[row, column])
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=color, alpha=alpha, lw=0))
        if size <= _NUMBERED:
            text = f"{confusion.matrix[row, column]:,}"
            axes.text(column, row, text, ha="center", va="center", fontsize=9 if size <= 8 else 7)
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    if size > _NAMED:
        return figure
    names = [_short(label) for label in confusion.labels]
    turned = max(map(len, names)) > 4
    if turned:
        figure.set_size_inches(_SIZE[0], _SIZE[1] + 1)
    axes.set_xticks(
        range(size), names, rotation=40 if turned else 0, ha="right" if turned else "center"
    )
    axes.set_yticks(range(size), names)
    return figure


def calibration_plot(bins: Sequence[tuple[float, float, int]]) -> Figure:
    """Accuracy over confidence; a calibrated model lies on the diagonal."""
    figure, axes = _axes("confidence", "accuracy")
    confidence, accuracy, images = np.array(bins).T
    axes.plot([0, 1], [0, 1], linestyle="--", color=MUTED, linewidth=1, label="calibrated")
    sizes = 20 + 180 * images / images.max()
    axes.plot(confidence, accuracy, color=SERIES[0], linewidth=1)
    axes.scatter(confidence, accuracy, sizes, color=SERIES[0], alpha=0.7, label="images, by bin")
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03))
    axes.grid(visible=True)
    axes.legend(loc="upper left", frameon=False)
    return figure


def confidence_plot(confidence: Floats, correct: Any, threshold: float | None, what: str) -> Figure:
    """Histogram of confidence over the whole range [0, 1], right and wrong apart."""
    figure, axes = _axes("confidence", what)
    bins = np.linspace(0, 1, 26).tolist()
    parts = [confidence[correct], confidence[~correct]]
    labels = [f"correct ({len(parts[0]):,})", f"wrong ({len(parts[1]):,})"]
    axes.hist(parts, bins, stacked=True, color=[GOOD, BAD], label=labels, edgecolor="white")
    if threshold is not None:
        axes.axvline(threshold, linestyle="--", color="black", linewidth=1)
        axes.annotate(
            f"threshold {threshold:.2f}", (threshold, 0.97), xycoords=("data", "axes fraction"),
            xytext=(4 if threshold < 0.6 else -4, 0), textcoords="offset points",
            ha="left" if threshold < 0.6 else "right", va="top", fontsize=9,
        )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


def coverage_plot(confidence: Floats, correct: Any) -> Figure:
    """Accuracy of the answers that are kept, as unsure ones are left to a person."""
    figure, axes = _axes("share of images answered", "accuracy of the answers")
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, len(order) + 1)
    few = len(order) // 20  # the accuracy of a handful of answers is noise
    accuracy = np.cumsum(correct[order]) / answered
    axes.plot((answered / len(order))[few:], accuracy[few:], color=SERIES[0])
    axes.set(xlim=(0, 1), ylim=(None, 1.01))
    axes.grid(visible=True)
    return figure


def precision_recall_plot(curves: Mapping[str, tuple[Floats, Floats]]) -> Figure:
    """Precision over recall at IoU 0.5, a line a class."""
    figure, axes = _axes("recall", "precision")
    for index, (name, (recall, precision)) in enumerate(curves.items()):
        named = len(curves) <= _LEGEND
        axes.step(
            np.concatenate([[0], recall, recall[-1:]]),
            np.concatenate([precision[:1], precision, [0]]),
            where="pre",
            color=SERIES[index % len(SERIES)] if named else SERIES[0],
            linewidth=1.6 if named else 0.8,
            label=_short(name) if named else None,
        )
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03))
    axes.grid(visible=True)
    if 1 < len(curves) <= _LEGEND:
        axes.legend(frameon=False, loc="lower left")
    return figure


def iou_plot(iou: Floats) -> Figure:
    """Histogram of the overlap of correct detections with their objects."""
    figure, axes = _axes("IoU of correct detections", "detections")
    axes.hist(iou, np.linspace(0.5, 1, 26).tolist(), color=SERIES[0], edgecolor="white")
    axes.set_xlim(0.5, 1)
    return figure


def per_count_plot(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Expected count beside the true one, with the error's size as a band."""
    figure, axes = _axes("true count", "expected count")
    counts = np.array([row["count"] for row in rows])
    means = np.array([row["mean_predicted"] for row in rows])
    errors = np.array([row["rmse"] for row in rows])
    axes.plot(counts, counts, linestyle="--", color=MUTED, linewidth=1, label="perfect")
    axes.errorbar(
        counts, means, errors, fmt="o", color=SERIES[0], capsize=3, label="mean, with RMSE"
    )
    axes.grid(visible=True)
    axes.legend(frameon=False, loc="upper left")
    return figure


def errors_plot(truth: Integers, counted: Integers) -> Figure:
    """How far off the reported counts are."""
    figure, axes = _axes("reported minus true count", "images")
    off = counted - truth
    values, images = np.unique(off, return_counts=True)
    axes.bar(values, images, 0.85, color=[GOOD if value == 0 else SERIES[1] for value in values])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def recall_plot(rows: Sequence[Mapping[str, Any]], key: str) -> Figure:
    """One bar a class, the worst on top."""
    known = [row for row in rows if row[key] is not None]
    worst = sorted(known, key=lambda row: float(row[key]))[:20][::-1]
    figure, axes = _axes(key.upper() if key == "ap" else key, "")
    values = [row[key] for row in worst]
    axes.barh([_short(row["class"]) for row in worst], values, 0.7, color=SERIES[0])
    axes.set_xlim(0, 1)
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
    return figure


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "\N{HORIZONTAL ELLIPSIS}"
