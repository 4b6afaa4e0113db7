"""Download an archive over HTTP."""

import time
from http import HTTPStatus
from pathlib import Path

import requests

from components.shared.errors import UserError
from components.shared.progress import progress

ATTEMPTS = 5
BACKOFF_S = 1.0  # doubled after each attempt
TIMEOUT_S = (10.0, 60.0)  # to connect, and between two pieces
_PIECE = 1 << 20
_RETRIED = {408, 425, 429, 500, 502, 503, 504}


class _InterruptedError(Exception):
    """A failure that another attempt may mend."""


def download(url: str, into: Path, backoff: float = BACKOFF_S) -> Path:
    """Download `url` to the file `into`, written aside and renamed when whole.

    Raises:
        UserError: if the server refuses, or after `ATTEMPTS` attempts that broke off.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    part = into.with_name(into.name + ".part")
    part.unlink(missing_ok=True)
    reason = ""
    with requests.Session() as session:
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(backoff * 2 ** (attempt - 1))
            try:
                _fetch(session, url, part)
            except (requests.RequestException, _InterruptedError) as error:
                reason = str(error)
                continue
            part.replace(into)
            return into
    raise UserError(f"{url}: download failed {ATTEMPTS} times; the last time: {reason}")


def _fetch(session: requests.Session, url: str, part: Path) -> None:
    """Make one attempt, and see that all announced bytes came."""
    headers = {"Accept-Encoding": "identity"}  # so that Content-Length counts our bytes
    with session.get(url, stream=True, timeout=TIMEOUT_S, headers=headers) as response:
        if response.status_code in _RETRIED:
            raise _InterruptedError(f"HTTP {response.status_code}")
        if response.status_code != HTTPStatus.OK:
            raise UserError(
                f"{url}: the server answered HTTP {response.status_code} {response.reason}; "
                "check ingest.uri"
            )
        length = response.headers.get("Content-Length")
        expected = int(length) if length else None
        pieces = response.iter_content(_PIECE)
        total = -(-expected // _PIECE) if expected else None
        with part.open("wb") as out:
            for piece in progress(pieces, total, "downloading, MiB"):
                out.write(piece)
    found = part.stat().st_size
    if expected is not None and found != expected:
        raise _InterruptedError(f"{found:,} of {expected:,} bytes came")
