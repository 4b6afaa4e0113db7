"""Settings of the ingest step."""

from typing import Literal, Self

from pydantic import Field, model_validator

from components.shared.config import Section

Format = Literal[
    "bins",  # Amazon Bin Image Dataset: bin-images/NNNNN.jpg, metadata/NNNNN.json
    "cifar",  # CIFAR-100 python archive
    "coco",  # COCO instances JSON and image folders
    "folders",  # <split>/<class>/<image>, in a folder or an archive
    "openimages",  # Open Images V7: <split>/{data,labels/detections.csv,metadata/classes.csv}
    "synthetic",  # scenes drawn here, for a demo without a download
    "voc",  # Pascal VOC: JPEGImages, Annotations, ImageSets/Main
]


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
        if self.format != "synthetic" and not self.uri:
            raise ValueError(f"uri is required for format '{self.format}'")
        return self
