"""What a reader should know first, in words."""

from collections.abc import Iterator, Sequence
from typing import Final

from components.explore.compare import Difference
from components.explore.material import Material
from components.explore.words import listed, numbered
from components.shared.report import Kind

_RARE: Final = 10  # times more images than the rarest class, from which that is worth a line
_DARK: Final = 0.05
_BRIGHT: Final = 0.95
_FLAT: Final = 0.03
_SMALL: Final = 0.25  # share of small boxes, from which that is worth a line


def headline(material: Material) -> tuple[str, Kind]:
    """Return whether splits are apart, the one thing that must hold, and its tone."""
    found = material.found
    if found.identities.distinct_ids() < found.total:
        return "Some image ids occur more than once", "bad"
    if found.splits.kind == "upstream":
        return "The images as the source has them, before they are split", "info"
    if found.splits.kind == "none":
        return "The images as a whole; they have no split yet", "info"
    leaking = [leak.what for leak in material.leaks if leak.sets.leaking.size]
    if leaking:
        return f"Splits share {listed(leaking)}", "bad"
    checked = ["identical images", "groups"]
    if found.identities.near_duplicates().keys.size:
        checked.append("near-duplicates")
    return f"No two splits share {listed(checked, 'or')}", "good"


def list_findings(material: Material, tested: Sequence[Difference]) -> list[str]:
    """Return one line a finding, the gravest first; `tested` compares the splits."""
    return [
        *_leaks(material),
        *_labels(material),
        *_classes(material),
        *_differences(tested),
        *_duplicates(material),
        *_boxes(material),
        *_pixels(material),
        *_set_aside(material),
    ]


def _leaks(material: Material) -> Iterator[str]:
    found = material.found
    for leak in material.leaks:
        number = leak.sets.leaking.size
        if number:
            kept = "" if found.splits.kind == "split" else "; the split step keeps them together"
            yield f"{leak.what.capitalize()} in more than one split: {number:,}{kept}."
    repeated = found.total - found.identities.distinct_ids()
    if repeated:
        yield f"{repeated:,} rows repeat the image id of another row."


def _labels(material: Material) -> Iterator[str]:
    found = material.found
    if found.unlabelled:
        what = "count" if found.info.task == "count" else "label"
        yield f"{numbered(found.unlabelled, 'image has', 'images have')} no {what}."
    if material.unreadable:
        images = numbered(material.unreadable, "sampled image", "sampled images")
        yield f"{images} could not be read from the shards."


def _classes(material: Material) -> Iterator[str]:
    found = material.found
    if found.info.task == "count":
        return
    counted = found.categories()
    empty = [found.name(one) for one, number in counted.items() if not number]
    if empty:
        yield f"{numbered(len(empty), 'class has', 'classes have')} no image: {listed(empty)}."
    ranked = [(one, number) for one, number in counted.most_common() if number]
    if len(ranked) > 1 and ranked[0][1] >= _RARE * ranked[-1][1]:
        (most, many), (least, few) = ranked[0], ranked[-1]
        yield (
            f"Classes are uneven: {found.name(most)} is in {many:,} images, "
            f"{found.name(least)} in {few:,}."
        )


def _differences(tested: Sequence[Difference]) -> Iterator[str]:
    if not tested:
        return
    differ = [one for one in tested if one.matters]
    alike = f"The splits are alike: {len(tested)} comparisons find no difference that matters."
    if differ:
        yield f"The splits differ in {listed([_effect(one) for one in differ])}."
    else:
        yield alike


def _effect(one: Difference) -> str:
    return f"{one.what} (effect {one.effect:.2f})"


def _duplicates(material: Material) -> Iterator[str]:
    identities = material.found.identities
    exact, alike = identities.contents(), identities.near_duplicates()
    if exact.repeated:
        share = exact.repeated / material.found.total
        yield f"Images that repeat the bytes of another one: {exact.repeated:,} ({share:.1%})."
    if alike.keys.size:
        images = int(alike.sizes.sum())
        yield (
            f"{images:,} images ({images / material.found.total:.1%}) are near-duplicates, "
            f"in {alike.keys.size:,} sets."
        )


def _boxes(material: Material) -> Iterator[str]:
    found = material.found
    if not found.all_boxes:
        return
    small = int(found.geometry.sizes[:, 0].sum())
    if small >= _SMALL * found.all_boxes:
        yield f"{small / found.all_boxes:.0%} of the boxes are small (under 32 x 32 pixels)."


def _pixels(material: Material) -> Iterator[str]:
    measured = list(material.measured.values())
    kinds = {
        "nearly black": sum(one.brightness < _DARK for one in measured),
        "nearly white": sum(one.brightness > _BRIGHT for one in measured),
        "nearly without contrast": sum(one.contrast < _FLAT for one in measured),
        "without colour": sum(one.colourless for one in measured),
    }
    found = [f"{number:,} {words}" for words, number in kinds.items() if number]
    if found:
        yield f"Of {len(measured):,} sampled images: {', '.join(found)}."


def _set_aside(material: Material) -> Iterator[str]:
    if material.rejected.total:
        why, number = material.rejected.by_frequency()[0]
        yield (
            f"{numbered(material.rejected.total, 'file or annotation', 'files or annotations')} "
            f"set aside; the most frequent reason, {number:,} times: {why}"
        )
