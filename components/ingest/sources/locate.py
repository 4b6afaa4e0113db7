"""Find the source that a URI names: a folder, an archive, a web address, or S3."""

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from components.ingest.config import IngestSection
from components.ingest.sources.base import DAMAGE, Source
from components.ingest.sources.downloads import Options, Remote, check_sha256, downloaded
from components.ingest.sources.http import HttpFile
from components.ingest.sources.local import FolderSource
from components.ingest.sources.s3 import Bucket, S3Object, S3Source
from components.ingest.sources.slot import download_folder, scratch_folder
from components.ingest.sources.tars import open_tar
from components.ingest.sources.zips import ZipSource
from components.shared.addresses import shown
from components.shared.errors import UserError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


@contextmanager
def open_source(section: IngestSection) -> Iterator[Source]:
    """Open the source of `section.uri`; what had to be downloaded is deleted afterwards.

    After an error a download stays, for the next attempt; see `downloads`.

    Raises:
        UserError: if nothing is there, it is neither a folder nor an archive, or a file that
            is needed for all the others cannot be read.
    """
    with _damage(section), ExitStack() as stack:
        if section.format == "synthetic":  # scenes are drawn from no file
            empty = stack.enter_context(TemporaryDirectory(prefix="sightline-source-"))
            yield FolderSource(Path(empty), "synthetic")
            return
        found = _locate(section, stack)
        if isinstance(found, Path) and not found.is_dir():
            # Beside the downloads: what is compressed is unpacked there, and takes more room.
            beside = download_folder(section.download_folder)
            scratch = stack.enter_context(scratch_folder(beside))
            yield _open_archive(found, shown(section.uri), scratch)
            return
        if section.sha256:
            raise UserError(
                f"ingest.sha256: {section.uri} is no archive, so it has no digest; "
                "leave ingest.sha256 out"
            )
        yield FolderSource(found, section.uri) if isinstance(found, Path) else found


@contextmanager
def _damage(section: IngestSection) -> Iterator[None]:
    """Name the source when one of its files, an annotation file say, cannot be read."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # this machine's trouble, not the source's
        raise UserError(f"ingest.uri: {shown(section.uri)}: cannot be read: {error}") from None


@contextmanager
def open_file(uri: str, section: IngestSection, key: str) -> Iterator[Path]:
    """Give a single file, wherever it lies: on this machine, the web or S3.

    Args:
        uri: a path, or an http(s):// or s3:// address.
        section: how to reach and keep what is not on this machine.
        key: the setting that named it, for messages.

    Raises:
        UserError: if there is no such file.
    """
    with ExitStack() as stack:
        section = section.model_copy(update={"uri": uri, "sha256": None})
        remote = _remote(section)
        if remote is not None:
            yield stack.enter_context(downloaded(remote, _options(section)))
            return
        path = _local(uri)
        if not path.is_file():
            raise UserError(f"{key}: {uri}: no such file")
        yield path


def _locate(section: IngestSection, stack: ExitStack) -> Path | S3Source:
    """Return the folder, the archive (downloaded if need be) or the S3 prefix."""
    remote = _remote(section)
    if isinstance(remote, S3Object) and not _is_archive(section):
        bucket, key = _in_s3(section)
        return S3Source(bucket, key)
    if remote is not None:
        return stack.enter_context(downloaded(remote, _options(section)))
    path = _local(section.uri)
    if not path.exists():
        raise UserError(f"ingest.uri: {section.uri}: no such folder or archive")
    if section.sha256 and path.is_file():
        check_sha256(path, section.sha256, section.uri)
    return path


def _remote(section: IngestSection) -> Remote | None:
    """Return the file behind an address; None for what is on this machine."""
    scheme = urlsplit(section.uri).scheme
    if scheme in {"http", "https"}:
        return HttpFile(section.uri)
    if scheme == "s3":
        return S3Object(*_in_s3(section))
    return None


def _in_s3(section: IngestSection) -> tuple[Bucket, str]:
    name, _, key = section.uri.removeprefix("s3://").partition("/")
    if not name:
        raise UserError(f"ingest.uri: {section.uri}: no bucket; give s3://bucket/prefix")
    bucket = Bucket(name, anonymous=section.anonymous, endpoint_url=section.endpoint_url)
    return bucket, key.lstrip("/")


def _is_archive(section: IngestSection) -> bool:
    bucket, key = _in_s3(section)
    return key.endswith(ARCHIVES) and bucket.has(key)


def _options(section: IngestSection) -> Options:
    return Options(
        download_folder(section.download_folder),
        section.max_bytes,
        section.sha256 or "",
        section.keep_download,
    )


def _local(uri: str) -> Path:
    parts = urlsplit(uri)
    return Path(unquote(parts.path) if parts.scheme == "file" else uri).expanduser()


def _open_archive(path: Path, uri: str, scratch: Path) -> Source:
    """Open an archive by what it holds, not by its name."""
    if not path.is_file():  # opening a named pipe would wait for a writer
        raise UserError(f"ingest.uri: {uri}: is neither a folder nor a plain file")
    if zipfile.is_zipfile(path):
        return ZipSource(path, uri)
    tar = open_tar(path, uri, scratch)
    if tar is not None:
        return tar
    with path.open("rb") as file:
        start = file.read(512).lstrip().lower()
    what = (
        "a web page, not the file itself"
        if start.startswith(b"<")
        else ("neither a zip nor a tar archive (or a damaged one)")
    )
    raise UserError(
        f"ingest.uri: {uri}: is {what}; give a folder or an archive ({', '.join(ARCHIVES)})"
    )
