"""Lists of image ids: those an ingest is to take, and those that it took.

A text file holds one id a line. Lines that begin with `#` and empty ones are comments. An id
that would not survive this (it begins with `#` or a quote, or begins or ends with white space)
is written in double quotes, as JSON. A `.csv` or `.parquet` file holds the ids in a column
`image_id` or `id`.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from components.shared.errors import UserError
from components.shared.files import written_aside
from components.shared.table import iter_rows

_COLUMNS: Final = ("image_id", "id")
_LONGEST: Final = 10_000  # characters of a line; a file with a longer one is no list of ids


def write_ids(table: Path, ids: Path) -> None:
    """Write the ids of an image table, in its order, as a list that `read_ids` takes."""
    with written_aside(ids) as aside, aside.open("w", encoding="utf-8") as out:
        for row in iter_rows(table, ["image_id"]):
            out.write(_line(row["image_id"]) + "\n")


def _line(image_id: str) -> str:
    plain = image_id.strip() == image_id and not image_id.startswith(("#", '"'))
    return image_id if plain and image_id else json.dumps(image_id, ensure_ascii=False)


def read_ids(path: Path, name: str) -> Iterator[str]:
    """Yield the ids of a list, as they come.

    Args:
        path: the file.
        name: what a person calls it; its ending says what it holds.

    Raises:
        UserError: naming the file and the line or row, if it is no such list.
    """
    kind = PurePosixPath(name).suffix.lower()
    if kind == ".parquet":
        return _from_parquet(path, name)
    return _from_text(path, name, _from_csv if kind == ".csv" else _from_lines)


def _from_text(path: Path, name: str, parse: Any) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from parse(file, name)
    except UnicodeDecodeError:
        raise UserError(f"ingest.ids: {name}: not UTF-8 text; save it as UTF-8") from None
    except csv.Error as error:
        raise UserError(f"ingest.ids: {name}: not a CSV file: {error}") from None


def _from_lines(file: TextIO, name: str) -> Iterator[str]:
    for number, line in enumerate(iter(lambda: file.readline(_LONGEST), ""), 1):
        if len(line) == _LONGEST:
            raise UserError(f"ingest.ids: {name}: line {number} is too long for an image id")
        text = line.strip()
        if text.startswith('"'):
            yield _quoted(text, f"ingest.ids: {name}: line {number}")
        elif text and not text.startswith("#"):
            yield text


def _quoted(text: str, where: str) -> str:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UserError(
            f"{where}: {text} is not an id in double quotes, as JSON: {error}"
        ) from None
    return str(found)


def _from_csv(file: TextIO, name: str) -> Iterator[str]:
    rows = csv.reader(file)
    header = next(rows, [])
    place = header.index(_column(header, name))
    for row in rows:
        if len(row) > place and row[place]:
            yield row[place]
        elif row:
            raise UserError(f"ingest.ids: {name}: line {rows.line_num} has no image id")


def _from_parquet(path: Path, name: str) -> Iterator[str]:
    try:
        file = pq.ParquetFile(path)
        column = _column(file.schema_arrow.names, name)
        for batch in file.iter_batches(columns=[column]):
            for found in batch.column(0).to_pylist():
                if found is None:
                    raise UserError(f"ingest.ids: {name}: column {column} has a row without id")
                yield str(found)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"ingest.ids: {name}: not a Parquet file: {error}") from None


def _column(names: Sequence[str], name: str) -> str:
    for column in _COLUMNS:
        if column in names:
            return column
    raise UserError(
        f"ingest.ids: {name}: no column {' or '.join(_COLUMNS)}; found {', '.join(names) or 'none'}"
    )
