"""Settings of the ingest step."""

from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from components.shared.config import Section
from components.shared.errors import UserError
from components.shared.task import Task

Format = Literal[
    "bins",  # Amazon Bin Image Dataset: bin-images/NNNNN.jpg, metadata/NNNNN.json
    "cifar",  # CIFAR-100 python archive
    "coco",  # COCO instances JSON and image folders
    "folders",  # <split>/<class>/<image>, in a folder or an archive
    "openimages",  # Open Images V7: <split>/{data,labels/detections.csv,metadata/classes.csv}
    "synthetic",  # scenes drawn here, for a demo without a download
    "voc",  # Pascal VOC: JPEGImages, Annotations, ImageSets/Main
]


SCHEMES: Final = ("file", "http", "https", "s3")
_ALL: Final[tuple[Task, ...]] = ("detect", "count", "classify")
TASKS: Final[dict[Format, tuple[Task, ...]]] = {
    "bins": ("count",),
    "cifar": ("classify",),
    "coco": _ALL,
    "folders": ("classify",),
    "openimages": _ALL,
    "synthetic": _ALL,
    "voc": _ALL,
}


class SyntheticSection(Section):
    """The drawn scenes of `format: synthetic`."""

    images: int = Field(600, ge=1, description="how many scenes")
    size: int = Field(96, ge=32, le=1024, description="edge in pixels")
    max_objects: int = Field(5, ge=1, le=20, description="most objects in a scene")


class IngestSection(Section):
    """Where the images come from, in which format, and which to keep."""

    format: Format = Field("synthetic", description="the upstream format")
    uri: str = Field("", description="folder, archive, https:// or s3:// address")
    anonymous: bool = Field(False, description="read s3:// without credentials")
    endpoint_url: str | None = Field(None, description="another S3 endpoint than AWS's")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-fA-F]{64}$", description="refuse an archive that differs from it"
    )
    max_bytes: int = Field(1024**4, ge=1, description="refuse to download larger archives")
    download_folder: str = Field(
        "", description="keeps interrupted downloads; empty: the user's cache folder"
    )
    keep_download: bool = Field(False, description="keep the archive there for the next run")
    ids: str | None = Field(
        None,
        description="take these images: a file, one image id a line, or .csv or .parquet with a "
        "column image_id or id",
    )
    classes: list[str] = Field([], description="keep these classes, in this order; empty: all")
    group_of: bool = Field(False, description="keep Open Images' group-of boxes")
    max_count: int | None = Field(None, ge=0, description="keep images with at most this count")
    keep_empty: bool = Field(False, description="keep images without any box")
    limit: int | None = Field(None, ge=1, description="a reproducible random subset of this size")
    max_pixels: int = Field(100_000_000, ge=1, description="larger images are rejected")
    workers: int = Field(0, ge=0, description="processes; 0: one a core")
    synthetic: SyntheticSection = SyntheticSection()

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.format != "synthetic":
            if not self.uri:
                raise ValueError(f"uri is required for format '{self.format}'")
            return self
        given = [key for key in ("uri", "sha256") if getattr(self, key)]
        if given:
            raise ValueError(
                f"{given[0]} is given, but format 'synthetic' draws its images; set ingest.format"
            )
        return self

    @field_validator("uri", "ids")
    @classmethod
    def _is_of_a_known_scheme(cls, address: str | None) -> str | None:
        scheme, has_one, _ = (address or "").partition("://")
        if has_one and scheme.lower() not in SCHEMES:
            known = ", ".join(f"{one}://" for one in SCHEMES)
            raise ValueError(f"unknown scheme '{scheme}'; give a path of this machine, or {known}")
        return address


def check_task(section: IngestSection, task: Task) -> None:
    """Refuse a format that has no labels for the task.

    Raises:
        UserError: naming the formats that have.
    """
    if task in TASKS[section.format]:
        return
    able = ", ".join(name for name, tasks in TASKS.items() if task in tasks)
    own = " and ".join(TASKS[section.format])
    raise UserError(
        f"ingest.format: '{section.format}' has labels for {own}, not for task '{task}'; "
        f"formats for '{task}': {able}"
    )
