"""The report's section on drift: how far, and histograms of both runs laid over each other."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.shared.report import Report
from components.shared.report.charts import grouped_bars, histogram
from components.validate.drift import BALANCE, Drift, Measure, aligned_weights
from components.validate.histogram import Histogram
from components.validate.profile import TITLES

_EARLIER: Final = "earlier run"
_NOW: Final = "this run"
_BINS: Final = 48  # of a plot, at most
_CLASSES: Final = 15  # classes in a plot, at most; those that moved most


def add_drift(report: Report, drift: Drift | str) -> None:
    """Add the section; `drift` is the comparison, or why there is none."""
    if isinstance(drift, str):
        report.section("Drift", "Whether the data moved since an earlier run.")
        report.note(f"Not compared: {drift}.")
        return
    report.section(
        "Drift",
        f"This run's {drift.now.images:,} images against the {drift.before.images:,} of an earlier "
        "run. PSI is the population stability index (below 0.1 is commonly taken as stable, above "
        "0.2 as moved), KS the Kolmogorov-Smirnov distance, V Cramér's V; 0 is no difference.\n\n"
        f"A difference counts only when its p-value is below {drift.chance:.2g}: chance alone "
        "makes small samples differ.",
    )
    _add_classes(report, drift)
    report.table(
        ["Quantity", "PSI", "p", "KS", "p of KS", "V", "Earlier values", "Values", "Medians"],
        [_row(drift, one) for one in drift.measures],
    )
    for name, reason in drift.left_out.items():
        report.note(f"{name} was not compared: {reason}.")
    for one in drift.measures:
        if one.name == BALANCE:
            _add_balance(report, drift)
        else:
            _add_histogram(report, drift, one.name)


def _row(drift: Drift, one: Measure) -> list[object]:
    return [
        TITLES.get(one.name, one.name), one.psi, one.psi_p, one.ks, one.ks_p, one.cramers_v,
        one.before, one.now, _medians(drift, one.name),
    ]  # fmt: skip


def _medians(drift: Drift, name: str) -> str:
    if name == BALANCE:
        return ""
    values = [one.histograms[name].quantile(0.5) for one in (drift.before, drift.now)]
    return " to ".join(f"{value:.4g}" for value in values if value is not None)


def _add_classes(report: Report, drift: Drift) -> None:
    changed = {name: how for name, how in drift.classes.items() if how != "kept"}
    if changed:
        said = ", ".join(f"{name} ({how})" for name, how in changed.items())
        report.note(f"The list of classes is not the earlier run's: {said}.", "bad")


def _add_balance(report: Report, drift: Drift) -> None:
    pairs = aligned_weights(drift.before, drift.now)
    totals = [sum(pair[side] for pair in pairs.values()) for side in (0, 1)]
    shares = {name: (pair[0] / totals[0], pair[1] / totals[1]) for name, pair in pairs.items()}
    moved = sorted(shares, key=lambda name: -abs(shares[name][1] - shares[name][0]))[:_CLASSES]
    names = [name for name in shares if name in moved]
    if drift.now.task == "count":
        names.sort(key=lambda name: int(name) if name.isdecimal() else np.inf)
    parts = {
        _EARLIER: [shares[name][0] for name in names],
        _NOW: [shares[name][1] for name in names],
    }
    left = len(shares) - len(names)
    report.figure(
        grouped_bars(names, parts, "count" if drift.now.task == "count" else "class", "images"),
        alt="Share of each class or count, in the earlier run and in this one",
        caption="Class balance" + (f"; {left} that moved less are not shown" if left else ""),
    )


def _add_histogram(report: Report, drift: Drift, name: str) -> None:
    before, now = drift.before.histograms[name], drift.now.histograms[name]
    edges, dense = _shown(before, now)
    log = now.grid.scale == "log2"
    title = TITLES[name]
    report.figure(
        histogram(edges, dict(zip((_EARLIER, _NOW), dense, strict=True)), title, "images", log=log),
        alt=f"Histograms of {title}, in the earlier run and in this one",
        caption=title[0].upper() + title[1:],
    )


def _shown(
    before: Histogram, now: Histogram
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Return the edges and counts of the bins that hold anything, joined to few enough bars."""
    counts = [before.dense().astype(float), now.dense().astype(float)]
    filled = np.flatnonzero(counts[0] + counts[1])
    first = max(int(filled[0]) - 1, 0)
    last = min(int(filled[-1]) + 2, now.grid.bins)
    step = -(-(last - first) // _BINS)
    last = min(first + -(-(last - first) // step) * step, now.grid.bins)
    starts = np.arange(first, last, step)
    joined = [np.add.reduceat(one[:last], starts) for one in counts]
    edges = now.grid.edges[np.append(starts, last)]
    return edges, joined
