"""Everything the page is made of: counts of all images, and what is shown of a few."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.explore.config import ExploreSection
from components.explore.distribution import Distribution, of_sample
from components.explore.identity import Sets
from components.explore.partition import NO_SPLIT, find_partitions
from components.explore.pixels import Measures, load_pictures, measure_images
from components.explore.rejected import Rejected, read_rejected
from components.explore.rows import Row, members, rows_by_file, rows_by_id
from components.explore.statistics import CROWDS, Statistics, count_together, gather
from components.shared.table import NEAR_DUPLICATES, read_info

TOGETHER: Final = 20  # classes in the co-occurrence matrix
_EXTREMES: Final = 6
_MEMBERS: Final = 6  # pictures of a near-duplicate set
_LEAKS: Final = 5  # sets in several splits that are named
_NAMED: Final = 2  # images of such a set that are named, of each split


@dataclass(frozen=True)
class Paths:
    """What the step reads."""

    images: Path
    table: Path
    rejected: Path


@dataclass(frozen=True)
class Alike:
    """A set of images that look the same, or have the same bytes: its size, some of its rows."""

    size: int
    rows: list[Row]


@dataclass(frozen=True)
class Leak:
    """A kind of set that no two splits may share.

    Attributes:
        what: `identical bytes`, `groups` or `near-duplicates`.
        sets: all of them.
        examples: rows of some that lie in several splits.
    """

    what: str
    sets: Sets
    examples: list[list[Row]]


@dataclass(frozen=True)
class Material:
    """What the sections show.

    Attributes:
        found: counts over all images.
        rejected: what was set aside.
        sample: ids drawn at random, those shown.
        examples: category to ids, in reading order.
        crowds: number of the interval of CROWDS to ids, in reading order.
        measured: ids to pixel statistics of the sampled images.
        unreadable: sampled images that do not decode or are in no shard.
        extremes: word (`darkest`, `brightest`, `least contrast`) to ids.
        alike_exactly: whether `alike` are images with equal bytes, for want of near-duplicates.
        alike: the largest sets of images that look alike.
        leaks: what splits may not share.
        together: classes, and (n, n) images that show two of them.
        rows: of every image shown, by id.
        pictures: of every image shown that decodes, by id.
        set_aside: file to the row of its image, which is used without what was set aside.
    """

    found: Statistics
    rejected: Rejected
    sample: list[str]
    examples: dict[int, list[str]]
    crowds: dict[int, list[str]]
    measured: dict[str, Measures]
    unreadable: int
    extremes: dict[str, list[str]]
    alike_exactly: bool
    alike: list[Alike]
    leaks: list[Leak]
    together: tuple[list[int], NDArray[np.int64]]
    rows: dict[str, Row]
    pictures: dict[str, Image.Image]
    set_aside: dict[str, Row]

    def comparable(self) -> list[int]:
        """Return the splits that can be compared; images without a split are none."""
        names = self.found.splits.names
        return [i for i, name in enumerate(names) if name != NO_SPLIT and len(names) > 1]

    def measures(self, what: str) -> Distribution:
        """Return the distribution of `brightness` or `contrast` over the sampled images."""
        values = np.array([getattr(one, what) for one in self.measured.values()], float)
        splits = self.found.splits
        codes = np.array([splits.code(self.rows[one]) for one in self.measured], np.int64)
        return of_sample(values, codes, len(splits))


def collect(section: ExploreSection, paths: Paths, seed: int) -> Material:
    """Count the whole table, then fetch what is shown of it.

    Raises:
        UserError: if the table is not an image table.
    """
    info = read_info(paths.table)
    found = gather(paths.table, info, find_partitions(paths.table), section, seed)
    rejected = read_rejected(paths.rejected)
    drawn = found.sample.of()
    ids = drawn[: section.pixel_samples]
    measured = measure_images(paths.images, ids, section.workers)
    readable = {one: value for one in ids if (value := measured.get(one)) is not None}
    sample = drawn[: section.samples]
    examples = {one: found.examples.of(one) for one in shown_categories(found, section.classes)}
    crowds = {one: found.crowds.of(one) for one in range(len(CROWDS) + 1)}
    extremes = _extremes(readable)
    exactly, alike = _alike(found, paths.table, section.duplicates)
    leaks = _leaks(found, paths.table)
    set_aside = _rows_set_aside(paths.table, rejected)
    shown = {*sample, *_flat(examples), *_flat(crowds), *_flat(extremes)}
    rows = rows_by_id(paths.table, {*shown, *readable})
    known = [row for one in alike for row in one.rows] + list(set_aside.values())
    rows |= {row["image_id"]: row for row in known}
    shown |= {row["image_id"] for row in known}
    pictures = load_pictures(paths.images, shown, section.thumbnail, section.workers)
    return Material(
        found=found,
        rejected=rejected,
        sample=sample,
        examples=examples,
        crowds={number: some for number, some in crowds.items() if some},
        measured=readable,
        unreadable=len(ids) - len(readable),
        extremes=extremes,
        alike_exactly=exactly,
        alike=alike,
        leaks=leaks,
        together=_together(found, paths.table),
        rows=rows,
        pictures={one: image for one, image in pictures.items() if image is not None},
        set_aside=set_aside,
    )


def shown_categories(found: Statistics, number: int) -> list[int]:
    """Return which classes or counts show examples.

    Of too many classes the most and the least frequent; of too many counts some that are
    evenly spaced from the smallest to the largest.
    """
    ranked = [category for category, images in found.categories().most_common() if images]
    if found.info.task == "count":
        ranked.sort()
        if len(ranked) > number > 0:
            places = np.linspace(0, len(ranked) - 1, number).round().astype(int)
            return [ranked[place] for place in places]
    if len(ranked) <= number:
        return ranked
    last = number // 2
    return [*ranked[: number - last], *ranked[len(ranked) - last :]]


def _flat(groups: dict[int, list[str]] | dict[str, list[str]]) -> list[str]:
    return [one for some in groups.values() for one in some]


def _extremes(measured: dict[str, Measures]) -> dict[str, list[str]]:
    by_light = sorted(measured, key=lambda one: (measured[one].brightness, one))
    by_contrast = sorted(measured, key=lambda one: (measured[one].contrast, one))
    return {
        "darkest": by_light[:_EXTREMES],
        "brightest": by_light[::-1][:_EXTREMES],
        "least contrast": by_contrast[:_EXTREMES],
    }


def _alike(found: Statistics, table: Path, number: int) -> tuple[bool, list[Alike]]:
    """Return the largest near-duplicate sets; where none are marked, those of equal bytes."""
    sets, what = found.identities.near_duplicates(), NEAR_DUPLICATES
    exactly = not sets.keys.size
    if exactly:
        sets, what = found.identities.contents(), "sha256"
    keys = sets.largest(number)
    sizes = dict(zip(sets.keys.tolist(), sets.sizes.tolist(), strict=True))
    rows = members(table, what, keys, _MEMBERS)
    return exactly, [Alike(sizes[key], some) for key, some in rows.items()]


def _leaks(found: Statistics, table: Path) -> list[Leak]:
    """Return what no two splits may share; nothing where images have no split."""
    if len(found.splits) < 2:
        return []
    kinds = [
        ("identical bytes", "sha256", found.identities.contents()),
        ("groups", "group", found.identities.groups()),
    ]
    if (marked := found.identities.near_duplicates()).keys.size:
        kinds.append(("near-duplicates", NEAR_DUPLICATES, marked))
    return [
        Leak(words, sets, _named(members(table, what, sets.leaking[:_LEAKS], _NAMED, found.splits)))
        for words, what, sets in kinds
    ]


def _named(found: dict[int, list[Row]]) -> list[list[Row]]:
    return sorted(found.values(), key=lambda rows: str(rows[0]["image_id"]))


def _rows_set_aside(table: Path, rejected: Rejected) -> dict[str, Row]:
    """Return the rows of images that are used although some of their boxes were set aside."""
    files = {one.file for some in rejected.examples.values() for one in some}
    return rows_by_file(table, files) if files else {}


def _together(found: Statistics, table: Path) -> tuple[list[int], NDArray[np.int64]]:
    if found.info.task != "detect":
        return [], np.zeros((0, 0), np.int64)
    ranked = found.categories().most_common(TOGETHER)
    classes = [category for category, images in ranked if images]
    return classes, count_together(table, classes)
