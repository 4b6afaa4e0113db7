"""Find the source that a URI names: a folder, an archive, a web address, or S3."""

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from components.ingest.config import IngestSection
from components.ingest.sources.archives import ZipSource, unpack_tar
from components.ingest.sources.base import Source
from components.ingest.sources.http import download
from components.ingest.sources.local import FolderSource
from components.ingest.sources.s3 import S3Source
from components.shared.errors import UserError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


@contextmanager
def open_source(section: IngestSection) -> Iterator[Source]:
    """Open the source of `section.uri`; what had to be downloaded is deleted afterwards.

    Raises:
        UserError: if nothing is there, or it is neither a folder nor an archive.
    """
    with TemporaryDirectory(prefix="sightline-source-") as scratch:
        yield _locate(section, Path(scratch))


def _locate(section: IngestSection, scratch: Path) -> Source:
    if section.format == "synthetic":
        return FolderSource(scratch, "synthetic")  # scenes are drawn from no file
    scheme = urlsplit(section.uri).scheme
    if scheme in {"http", "https"}:
        name = unquote(Path(urlsplit(section.uri).path).name) or "download"
        return _archive(download(section.uri, scratch / name), section.uri, scratch)
    if scheme == "s3":
        return _s3(section, scratch)
    if scheme and "://" in section.uri and scheme != "file":
        raise UserError(
            f"ingest.uri: {section.uri}: unknown scheme '{scheme}'; "
            "give a folder, an archive, http(s):// or s3://"
        )
    path = Path(unquote(urlsplit(section.uri).path) if scheme == "file" else section.uri)
    path = path.expanduser()
    if path.is_dir():
        return FolderSource(path, section.uri)
    if not path.exists():
        raise UserError(f"ingest.uri: {section.uri}: no such folder or archive")
    return _archive(path, section.uri, scratch)


def _s3(section: IngestSection, scratch: Path) -> Source:
    parts = urlsplit(section.uri)
    bucket, key = parts.netloc, parts.path.lstrip("/")
    if not bucket:
        raise UserError(f"ingest.uri: {section.uri}: no bucket; give s3://bucket/prefix")
    source = S3Source(bucket, key, anonymous=section.anonymous, endpoint_url=section.endpoint_url)
    if not key.endswith(ARCHIVES) or not source.is_object(key):
        return source
    return _archive(source.download(key, scratch / Path(key).name), section.uri, scratch)


def _archive(path: Path, uri: str, scratch: Path) -> Source:
    """Open an archive by what it holds, not by its name."""
    if zipfile.is_zipfile(path):
        return ZipSource(path, uri)
    if not tarfile.is_tarfile(path):
        raise UserError(
            f"ingest.uri: {uri}: is neither a zip nor a tar archive (or a damaged one); "
            f"give a folder or an archive ({', '.join(ARCHIVES)})"
        )
    into = scratch / "unpacked"
    into.mkdir()
    unpack_tar(path, uri, into)
    return FolderSource(into, uri)
