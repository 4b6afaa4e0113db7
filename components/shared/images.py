"""The container images: their names, and which step runs in which.

A full reference (registry, content tag) is made from these by `pipelines.images`.
"""

from typing import Final

DATA: Final = "sightline/data"
RECORDIO: Final = "sightline/recordio"
TRAINER: Final = "sightline/trainer"
AWS: Final = "sightline/aws"

IMAGES: Final = (DATA, RECORDIO, TRAINER, AWS)
