"""One page that shows what is in the data, before anything is trained on it."""

from pathlib import Path

import pyarrow.parquet as pq

from components.explore import sections
from components.explore.config import ExploreSection
from components.explore.samples import draw_samples
from components.explore.statistics import gather
from components.shared.report import Report
from components.shared.table import ROW_GROUP, read_info
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
    found = gather(table, read_info(table))
    number = max(section.samples, section.pixel_samples)
    samples = draw_samples(table, images, number, seed, section.thumbnail)
    reasons = _reasons(rejected)
    page = Report("Exploration", f"{found.images:,} images, task {task}")
    sections.add_overview(page, found, sum(number for number, _ in reasons.values()))
    sections.add_pictures(page, samples[: section.samples], found, section.thumbnail)
    sections.add_classes(page, found)
    sections.add_numbers(page, found)
    sections.add_boxes(page, found)
    sections.add_sizes(page, found)
    sections.add_pixels(page, samples[: section.pixel_samples], found, section.thumbnail)
    sections.add_rejected(page, reasons)
    page.write(report)
    print(f"explore: {found.images:,} images counted, {len(samples):,} sampled")


def _reasons(rejected: Path) -> dict[str, tuple[int, str]]:
    """Return how often each reason was given, the most frequent first, with an example each."""
    counted: dict[str, tuple[int, str]] = {}
    for batch in pq.ParquetFile(rejected).iter_batches(batch_size=ROW_GROUP):
        for row in batch.to_pylist():
            # Grouped by what went wrong: the values in the reason differ from row to row.
            reason = row["reason"].split(":")[0].split("(")[0].strip()
            number, example = counted.get(reason, (0, f"{row['path']}: {row['reason']}"))
            counted[reason] = (number + 1, example)
    return dict(sorted(counted.items(), key=lambda item: (-item[1][0], item[0])))
