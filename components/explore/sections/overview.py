"""What there is: headline numbers, findings, where the images come from, a sample."""

from collections.abc import Sequence

from components.explore.compare import Difference
from components.explore.findings import headline, list_findings
from components.explore.material import Material
from components.explore.palette import Palette
from components.explore.partition import Partition
from components.explore.words import numbered
from components.shared.report import Report, Tile

_NOTES = 20


def add_overview(report: Report, material: Material, tested: Sequence[Difference]) -> None:
    """Headline numbers and findings; `tested` compares the splits."""
    found = material.found
    identities = found.identities
    ids, contents, groups = (
        identities.distinct_ids(),
        identities.contents(),
        identities.groups(),
    )
    unique = "all ids different" if ids == found.total else f"only {ids:,} different ids"
    tiles = [Tile("Images", found.total, f"{unique}; {contents.keys.size:,} different contents")]
    if found.info.task == "count":
        tiles.append(Tile("Different counts", len(found.categories())))
    else:
        tiles.append(Tile("Classes", len(found.info.classes)))
    if found.info.task == "detect":
        tiles.append(
            Tile("Boxes", found.all_boxes, f"{found.all_boxes / max(found.total, 1):.2f} an image")
        )
    if len(found.splits) > 1:
        pairs = zip(found.splits.names, found.images.tolist(), strict=True)
        title = "Splits" if found.splits.kind == "split" else "Splits of the source"
        detail = ", ".join(f"{name} {number:,}" for name, number in pairs)
        tiles.append(Tile(title, len(found.splits), detail))
    largest = int(groups.sizes.max(initial=0))
    tiles.append(
        Tile("Groups", groups.keys.size, f"the largest has {numbered(largest, 'image', 'images')}")
    )
    tiles.append(Tile("Set aside", material.rejected.total, "files or annotations not used"))
    title, kind = headline(material)
    report.banner(title, list_findings(material, tested), kind)
    report.tiles(tiles)


def add_sample(report: Report, material: Material, palette: Palette) -> None:
    """Images drawn at random."""
    report.section("Random images", "Drawn from all images; the same seed draws the same ones.")
    shown = [one for one in material.sample if one in material.pictures]
    if not shown:
        report.note("No picture could be drawn.", "bad")
        return
    report.legend(palette.keys())
    report.gallery(palette.picture(material.pictures[one], material.rows[one]) for one in shown)


def add_sources(report: Report, material: Material) -> None:
    """Where the images come from, and what ingest noted about them."""
    found = material.found
    parts = found.parts
    notes = [[name, number] for name, number in found.notes.most_common(_NOTES)]
    if len(parts.sources) < 2 and len(parts.upstream) < 2 and not notes:
        return
    report.section("Sources", "Images by the folder they come from, and by split.")
    columns = _columns(parts.splits)
    if len(parts.sources) > 1:
        rows = found.sources.T.tolist()
        report.cross_table("Folder", parts.sources.names, columns, rows)
    if len(parts.upstream) > 1:
        caption = "The split the source gave each image, and the one it has here."
        rows = found.upstream.T.tolist()
        report.cross_table("Split of the source", parts.upstream.names, columns, rows, caption)
    if notes:
        caption = "What ingest noted or mended, and in how many images."
        report.table(["Attribute", "Images"], notes, caption)


def _columns(splits: Partition) -> list[str]:
    return ["images"] if len(splits) == 1 else list(splits.names)
