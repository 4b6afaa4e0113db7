"""Read a source into shards and an image table; list what had to be set aside."""

from pathlib import Path
from tempfile import TemporaryDirectory

from components.ingest.config import IngestSection
from components.ingest.finish import Piece, clear, finish, table_info
from components.ingest.pack import Packer, pack
from components.ingest.survey import surveyed
from components.shared.parallel import worker_count
from components.shared.table import write_rows
from components.shared.task import Task


def ingest(
    section: IngestSection, task: Task, seed: int, images: Path, table: Path, rejected: Path
) -> None:
    """Read the source of `section` and write what the other steps work with.

    Args:
        section: where the images come from, and which to keep.
        task: what the labels are for.
        seed: decides the subset of `section.limit`, and the drawn scenes.
        images: folder to write the shards of encoded images into, in the table's order.
        table: image table to write, sorted by image id; `split` is not set yet.
        rejected: table to write of what could not be used, and why.

    Raises:
        UserError: if the source, its format, its classes or the task do not fit each other,
            or no image can be used.
    """
    with TemporaryDirectory(prefix="sightline-ingest-") as name:
        scratch = Path(name)
        with surveyed(section, task, seed, scratch) as survey:
            packer = Packer(survey.source, survey.format, section, task, survey.classes)
            info = table_info(task, survey.classes)
            piece = Piece(images, scratch / "table")
            clear(images)
            workers = worker_count(section.workers)
            rows = pack(packer, survey.records, survey.total, images, survey.catalogue, workers)
            write_rows(piece.table, rows, info)
            finish(section, info, survey.catalogue, [piece], images, table, rejected, scratch)
