"""Pixel range, brightness, contrast and colour of the sampled images, and the extremes."""

import numpy as np

from components.explore.distribution import Distribution
from components.explore.material import Material
from components.explore.palette import Palette
from components.explore.pixels import MEASURED
from components.explore.sections.shared import add_histograms, number_table, pictures
from components.shared.report import Report, charts

_BINS = np.linspace(0, 1, 41)
_CONTRAST_BINS = np.linspace(0, 0.5, 41)


def add_light(report: Report, material: Material, palette: Palette) -> None:
    """What the pixels of a sample say, and the pictures at the ends."""
    measured = list(material.measured.values())
    text = (
        f"Measured on {len(measured):,} images drawn at random, each reduced to at most {MEASURED} "
        "pixels. Brightness is the mean luma (0 black, 1 white), contrast its standard deviation."
    )
    report.section("Brightness and contrast", text)
    if not measured:
        report.note("No image could be measured.", "bad")
        return
    for word, ids in material.extremes.items():
        report.heading(f"The {word}")
        report.gallery(pictures(material, palette, ids), dense=True)
    _add_scatter(report, material)
    brightness, contrast = material.measures("brightness"), material.measures("contrast")
    add_histograms(report, material, brightness, _BINS, ("brightness", "images"))
    add_histograms(report, material, contrast, _CONTRAST_BINS, ("contrast", "images"))
    quantities = {
        "Brightness": brightness,
        "Contrast": contrast,
        "Darkest value, 0 to 255": _whole(material.measures("darkest")),
        "Brightest value, 0 to 255": _whole(material.measures("brightest")),
    }
    report.table(*number_table(material, quantities))
    _add_channels(report, material)


def _whole(found: Distribution) -> Distribution:
    """Return the distribution without its splits."""
    return Distribution(found.values, found.counts.sum(axis=0, keepdims=True))


def _add_scatter(report: Report, material: Material) -> None:
    splits = material.found.splits
    parts: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in splits.names}
    for image_id, one in material.measured.items():
        across, up = parts[splits.names[splits.code(material.rows[image_id])]]
        across.append(one.brightness)
        up.append(one.contrast)
    figure = charts.scatter(
        {name: both for name, both in parts.items() if both[0]}, "brightness", "contrast"
    )
    report.figure(figure, "Brightness against contrast of the sampled images, a point each")


def _add_channels(report: Report, material: Material) -> None:
    measured = list(material.measured.values())
    mean = np.mean([one.mean for one in measured], axis=0)
    square = np.mean([one.square for one in measured], axis=0)
    std = np.sqrt(np.maximum(square - mean**2, 0))
    names = ("red", "green", "blue")
    rows = [[name, float(m), float(s)] for name, m, s in zip(names, mean, std, strict=True)]
    colourless = sum(one.colourless for one in measured)
    caption = (
        "Channels, 0 to 1, each image counting the same: what a normalization would use. "
        f"{colourless:,} of {len(measured):,} images have no colour."
    )
    report.table(["Channel", "mean", "standard deviation"], rows, caption)
