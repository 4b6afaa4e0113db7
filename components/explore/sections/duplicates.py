"""The largest sets of images that look alike."""

from components.explore.material import Alike, Material
from components.explore.palette import Palette
from components.explore.sections.shared import pictures
from components.explore.words import numbered
from components.shared.report import PictureSet, Report


def add_duplicates(report: Report, material: Material, palette: Palette) -> None:
    """Numbers, and pictures of the largest sets."""
    exact = material.found.identities.contents()
    text = f"Images that repeat the bytes of another one: {exact.repeated:,}."
    if material.alike_exactly:
        text += " Near-duplicates are not marked in this table; shown are sets of equal bytes."
    else:
        sets = material.found.identities.near_duplicates()
        text += (
            f" Near-duplicates: {int(sets.sizes.sum()):,} images in "
            f"{numbered(sets.keys.size, 'set', 'sets')}; a set is kept in one split."
        )
    report.section("Near-duplicates", text)
    if not material.alike:
        report.note("No two images are alike.", "good")
        return
    report.heading("The largest sets")
    report.picture_sets(_set(one, material, palette) for one in material.alike)


def _set(one: Alike, material: Material, palette: Palette) -> PictureSet:
    ids = [row["image_id"] for row in one.rows]
    title = f"{one.size:,} images" + (f", {len(ids)} shown" if len(ids) < one.size else "")
    return PictureSet(title, _labels_differ(one), pictures(material, palette, ids))


def _labels_differ(one: Alike) -> str:
    """Say when images that look alike have different labels: one of them may be wrong."""
    if len({row["label"] for row in one.rows}) > 1:
        return "They have different labels."
    if len({row["count"] for row in one.rows}) > 1:
        return "They have different counts."
    if len({len(row["boxes"] or ()) for row in one.rows}) > 1:
        return "They have different numbers of boxes."
    return ""
