"""What could not be used, by reason."""

from typing import Final

from components.explore.material import Material
from components.explore.palette import Palette
from components.explore.rejected import picture_of
from components.shared.report import Picture, Report
from components.shared.table import Rejection

_REASONS: Final = 50
_SHOWN: Final = 12  # reasons with examples


def add_set_aside(report: Report, material: Material, palette: Palette) -> None:
    """Reasons with their numbers, then pictures where there are any."""
    rejected = material.rejected
    report.section("Set aside", "Files and annotations that could not be used, by reason.")
    if not rejected.total:
        report.note("Nothing was set aside.", "good")
        return
    kinds = rejected.by_frequency()
    rows = []
    for kind, number in kinds[:_REASONS]:
        first = rejected.examples[kind][0]
        rows.append([kind, number, f"{first.path}: {first.reason}"])
    more = f"The {_REASONS} most frequent of {len(kinds)} reasons." if len(kinds) > _REASONS else ""
    report.table(["Reason", "Rows", "For example"], rows, more)
    for kind, number in kinds[:_SHOWN]:
        pictures = [_picture(one, material, palette) for one in rejected.examples[kind]]
        shown = [one for one in pictures if one is not None]
        if shown:
            report.heading(f"{kind}: {number:,}")
            report.gallery(shown)


def _picture(one: Rejection, material: Material, palette: Palette) -> Picture | None:
    """Return the image that is used without this annotation; else the row's own picture."""
    row = material.set_aside.get(one.file)
    image = material.pictures.get(row["image_id"]) if row else None
    if row is not None and image is not None:
        return palette.picture(image, row, f"{one.reason}\nused with ")
    caption = f"{one.path}\n{one.reason}"
    own = picture_of(one)
    return None if own is None else Picture(own, caption, caption)
