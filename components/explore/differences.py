"""The comparisons of the splits: which quantities, and with which test."""

import numpy as np
from numpy.typing import NDArray

from components.explore.compare import Difference, compare_shares, compare_values, holm
from components.explore.distribution import Distribution
from components.explore.material import Material


def differences(material: Material) -> list[Difference]:
    """Return the tests of all quantities, corrected for their number; none without splits."""
    chosen = material.comparable()
    if len(chosen) < 2:
        return []
    found = material.found
    tests = [_shares(material)]
    if found.info.task == "count":
        tests.append(compare_values("counts", _only(found.numbers.distribution(), chosen)))
    if found.info.task == "detect":
        tests += [
            compare_values("boxes an image", _only(found.numbers.distribution(), chosen)),
            compare_values("box areas", _only(found.geometry.area_distribution(), chosen)),
            compare_values("box shapes", _only(found.geometry.ratio_distribution(), chosen)),
        ]
    for what, words in (
        ("width", "image widths"),
        ("height", "image heights"),
        ("ratio", "image shapes"),
    ):
        tests.append(compare_values(words, _only(found.size_distribution(what), chosen)))
    if material.measured:
        for what in ("brightness", "contrast"):
            tests.append(compare_values(what, _only(material.measures(what), chosen)))
    made = [one for one in tests if one is not None]
    return [_renumbered(one, chosen) for one in holm(made)]


def _shares(material: Material) -> Difference | None:
    what = (
        "shares of the counts" if material.found.info.task == "count" else "shares of the classes"
    )
    return compare_shares(what, category_counts(material)[material.comparable()])


def category_counts(material: Material) -> NDArray[np.int64]:
    """Return (splits, categories) how many images show each category that any image shows."""
    found = material.found
    categories = sorted(one for one, number in found.categories().items() if number)
    counts = np.zeros((len(found.splits), len(categories)), np.int64)
    places = {category: place for place, category in enumerate(categories)}
    for (split, category), number in found.by_split.items():
        counts[split, places[category]] = number
    return counts


def _only(found: Distribution, parts: list[int]) -> Distribution:
    return Distribution(found.values, found.counts[parts])


def _renumbered(one: Difference, chosen: list[int]) -> Difference:
    if one.between is None:
        return one
    left, right = one.between
    return Difference(one.what, one.test, one.effect, one.p, (chosen[left], chosen[right]))
