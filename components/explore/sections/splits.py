"""Whether the splits are apart, and alike."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from components.explore.compare import ALPHA, SMALL, Difference
from components.explore.differences import category_counts
from components.explore.material import Leak, Material
from components.shared.report import Report, charts

_GROUPS: Final = 20  # classes of the grouped bars


def add_splits(report: Report, material: Material, tested: Sequence[Difference]) -> None:
    """Leakage first, then shares side by side and the tests of difference."""
    if len(material.found.splits) < 2:
        return
    upstream = material.found.splits.kind == "upstream"
    whose = "the source's splits are" if upstream else "splits are"
    report.section("Split comparison", f"Whether the {whose} apart, and otherwise alike.")
    _add_leaks(report, material, upstream=upstream)
    _add_shares(report, material)
    if not tested:
        return
    rows = [_row(one, material.found.splits.names) for one in tested]
    headers = ["Quantity", "In words", "Effect, 0 to 1", "p, corrected", "Most between", "Test"]
    report.table(headers, rows, "Tests of difference.")
    report.note(
        f"Shares are tested with chi-square; the effect is Cramér's V. Numbers are tested with "
        f"Kolmogorov-Smirnov; the effect is the largest distance between two cumulative "
        f"distributions. p is corrected for the {len(tested)} comparisons (Holm); below {ALPHA} "
        f"chance is an unlikely reason. An effect under {SMALL} is too small to matter."
        "\n\nThe tests take images as independent. Groups of similar images make p smaller than it "
        "should be, so judge by the effect first."
    )


def _row(one: Difference, names: Sequence[str]) -> list[object]:
    between = " and ".join(names[part] for part in one.between) if one.between else "all splits"
    p = "under 0.0001" if one.p < 1e-4 else f"{one.p:.4f}"
    return [one.what.capitalize(), one.verdict(), round(one.effect, 3), p, between, one.test]


def _add_leaks(report: Report, material: Material, *, upstream: bool) -> None:
    rows = []
    for leak in material.leaks:
        number = leak.sets.leaking.size
        verdict = "none is shared" if not number else ("shared" if upstream else "must be 0")
        rows.append([leak.what.capitalize(), leak.sets.keys.size, int(number), verdict])
    headers = ["", "Different ones", "In more than one split", "Verdict"]
    report.table(headers, rows, "Leakage: what no two splits may share.")
    for leak in material.leaks:
        if leak.examples:
            report.note(_named(leak, material), "info" if upstream else "bad")


def _named(leak: Leak, material: Material) -> str:
    splits = material.found.splits
    lines = []
    for rows in leak.examples:
        images = [f"{row['image_id']} ({splits.names[splits.code(row)]})" for row in rows]
        lines.append(", ".join(images))
    return f"{leak.what.capitalize()} in more than one split, for example: {'; '.join(lines)}."


def _add_shares(report: Report, material: Material) -> None:
    """Draw the shares of classes or counts side by side."""
    found = material.found
    counts = category_counts(material)
    if counts.shape[1] < 2:
        return
    categories = sorted(one for one, number in found.categories().items() if number)
    order = np.arange(counts.shape[1])
    caption = ""
    if counts.shape[1] > _GROUPS:
        order = np.sort(np.argsort(-counts.sum(axis=0), kind="stable")[:_GROUPS])
        caption = f"The {_GROUPS} most frequent of {counts.shape[1]:,}."
    shares = counts / np.maximum(found.images, 1)[:, None]
    parts = {
        name: shares[part, order].tolist()
        for part, name in enumerate(found.splits.names)
        if counts[part].any()
    }
    what = "count" if found.info.task == "count" else "class"
    names = [found.name(categories[one]) for one in order]
    figure = charts.grouped_bars(names, parts, what, "share of the split's images")
    report.figure(figure, f"Bars: the share of each {what} in each split", caption)
