"""The formats by their name in a config."""

from typing import Final

from components.ingest import config
from components.ingest.formats.base import Format
from components.ingest.formats.bins import BinsFormat
from components.ingest.formats.cifar import CifarFormat
from components.ingest.formats.coco import CocoFormat
from components.ingest.formats.folders import FoldersFormat
from components.ingest.formats.openimages import OpenImagesFormat
from components.ingest.formats.synthetic import SyntheticFormat
from components.ingest.formats.voc import VocFormat
from components.shared.task import Task

FORMATS: Final[dict[config.Format, Format]] = {
    "bins": BinsFormat(),
    "cifar": CifarFormat(),
    "coco": CocoFormat(),
    "folders": FoldersFormat(),
    "openimages": OpenImagesFormat(),
    "synthetic": SyntheticFormat(),
    "voc": VocFormat(),
}


def format_for(section: config.IngestSection, task: Task) -> Format:
    """Return the format that a section names.

    Raises:
        UserError: if it has no labels for the task.
    """
    config.check_task(section, task)
    return FORMATS[section.format]
