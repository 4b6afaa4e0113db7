"""Read annotation files, one an image, in parallel."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from components.ingest.catalogue import Catalogue
from components.ingest.formats.base import Scan
from components.ingest.sources.base import Member, Source, Unread, read_each
from components.shared.parallel import chunked, map_chunks
from components.shared.progress import progress

Parsed = TypeVar("Parsed")
Parse = Callable[[bytes], Parsed]


class AnnotationError(Exception):
    """An annotation file that cannot be used; the message says why."""


def parse_files(
    scan: Scan, members: Iterable[Member], parse: Parse[Parsed]
) -> Iterator[tuple[Member, Parsed]]:
    """Yield each file with what `parse` makes of its bytes, in the order of `members`.

    A file for which it raises `AnnotationError` is rejected with that reason.
    """
    work = partial(_parse_chunk, scan.source, parse)
    chunks = chunked(members, lambda member: member.size)
    results = (result for chunk in map_chunks(work, chunks, scan.workers) for result in chunk)
    for member, parsed, fault in progress(results, None, "reading annotations"):
        if parsed is None:
            scan.catalogue.reject(member.path, fault)
        else:
            yield member, parsed


def _parse_chunk(
    source: Source, parse: Parse[Parsed], members: list[Member]
) -> list[tuple[Member, Parsed | None, str]]:
    contents = read_each(source.read_many, [member.path for member in members])
    return [
        (member, *_outcome(parse, data)) for member, data in zip(members, contents, strict=True)
    ]


def _outcome(parse: Parse[Parsed], data: bytes | Unread) -> tuple[Parsed | None, str]:
    if isinstance(data, Unread):
        return None, data.reason
    try:
        return parse(data), ""
    except AnnotationError as error:
        return None, str(error)


def reject_unannotated(catalogue: Catalogue, image: str, annotation: str) -> None:
    """List an image whose annotation file is missing or cannot be used."""
    is_there = catalogue.file(annotation) is not None
    catalogue.reject(
        image,
        f"its annotation {annotation} is set aside" if is_there else f"image without {annotation}",
    )
