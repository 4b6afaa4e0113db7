"""One page that shows what is in the data, before anything is trained on it."""

from pathlib import Path

from components.explore.config import ExploreSection
from components.explore.differences import differences
from components.explore.material import Material, Paths, collect
from components.explore.palette import Palette
from components.explore.sections.boxes import add_boxes
from components.explore.sections.classes import add_classes
from components.explore.sections.duplicates import add_duplicates
from components.explore.sections.light import add_light
from components.explore.sections.numbers import add_numbers
from components.explore.sections.overview import add_overview, add_sample, add_sources
from components.explore.sections.set_aside import add_set_aside
from components.explore.sections.sizes import add_sizes
from components.explore.sections.splits import add_splits
from components.shared.report import Report
from components.shared.task import Task


def explore(
    section: ExploreSection,
    task: Task,
    seed: int,
    images: Path,
    table: Path,
    rejected: Path,
    report: Path,
) -> None:
    """Write the exploration report: everything is counted, only pictures are sampled.

    The table may have its splits or not; splits are compared where there are some, those of the
    source where the project has none yet.

    Args:
        section: the step's settings.
        task: what the labels are for.
        seed: decides which images are sampled.
        images: the shards.
        table: the image table.
        rejected: the table of what was set aside.
        report: HTML file to write.

    Raises:
        UserError: if `table` is not an image table.
    """
    material = collect(section, Paths(images, table, rejected), seed)
    write_page(material, task, report)
    found = material.found
    print(
        f"explore: {found.total:,} images counted, {len(material.measured):,} measured, "
        f"{len(material.pictures):,} drawn"
    )


def write_page(material: Material, task: Task, path: Path) -> None:
    """Write the page, whole or not at all."""
    page = Report("Exploration", f"{material.found.total:,} images, task {task}", contents=True)
    palette = Palette(material.found)
    tested = differences(material)
    add_overview(page, material, tested)
    add_sample(page, material, palette)
    add_classes(page, material, palette)
    add_numbers(page, material, palette)
    add_boxes(page, material)
    add_sizes(page, material)
    add_light(page, material, palette)
    add_duplicates(page, material, palette)
    add_splits(page, material, tested)
    add_sources(page, material)
    add_set_aside(page, material, palette)
    page.write(path)
