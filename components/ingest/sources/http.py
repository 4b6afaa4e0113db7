"""A file behind an http:// or https:// address."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import requests
import urllib3

from components.ingest.sources.downloads import Answer, md5_of_tag
from components.ingest.sources.retry import RETRIED_STATUS, TransientError, retry_after
from components.ingest.sources.slot import Version
from components.shared.addresses import shown
from components.shared.errors import UserError

TIMEOUT_S: Final = (10.0, 60.0)  # to connect, and between two pieces
_PIECE: Final = 1 << 18
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_USELESS: Final = (  # another attempt would fail in the same way
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.TooManyRedirects,
)


class HttpFile:
    """A `Remote` over HTTP."""

    def __init__(self, url: str, timeout: tuple[float, float] = TIMEOUT_S) -> None:
        self.key = url
        self.name = shown(url)
        self._timeout = timeout

    @contextmanager
    def open(self, start: int, tag: str) -> Iterator[Answer]:
        """Ask for the bytes from `start` on; see `Remote`."""
        with ExitStack() as stack, self._failures():
            session = stack.enter_context(requests.Session())
            response = stack.enter_context(self._get(session, start, tag))
            if start and not self._goes_on(response, start, tag):
                start = 0
                if response.status_code != HTTPStatus.OK:
                    response = stack.enter_context(self._get(session, 0, ""))
            self._check(response)
            yield Answer(_version(response), start, _pieces(response))

    def _get(self, session: requests.Session, start: int, tag: str) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}  # the file itself, whose length is announced
        if start:
            headers["Range"] = f"bytes={start}-"
        if start and tag:
            headers["If-Range"] = tag
        return session.get(self.key, stream=True, timeout=self._timeout, headers=headers)

    def _goes_on(self, response: requests.Response, start: int, tag: str) -> bool:
        """Whether a server sends the rest of the same file, and not something else."""
        if response.status_code in {HTTPStatus.OK, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
            return False
        self._check(response)
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        same = not tag or _version(response).tag == tag
        return found is not None and int(found[1]) == start and same

    def _check(self, response: requests.Response) -> None:
        status = response.status_code
        if status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            return
        if status in RETRIED_STATUS:
            wait = retry_after(response.headers.get("Retry-After"))
            raise TransientError(f"HTTP {status} {response.reason}", wait)
        raise UserError(
            f"{self.name}: the server answered HTTP {status} {response.reason}; check ingest.uri"
        )

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except _USELESS as error:
            raise UserError(f"{self.name}: {type(error).__name__}; check ingest.uri") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # Its text may quote the address, and with it a signature.
            text = str(error).replace(self.key, self.name)
            secret = urlsplit(self.key).query
            text = text.replace(f"?{secret}", "?...") if secret else text
            raise TransientError(text or type(error).__name__) from None


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """Yield the bytes as they come: what waits for more is lost when the process ends."""
    while piece := response.raw.read1(_PIECE, decode_content=False):
        yield piece


def _version(response: requests.Response) -> Version:
    headers = response.headers
    tag = headers.get("ETag", "")
    if not tag.startswith('"'):  # a weak tag allows for other bytes (RFC 9110, 8.8.3)
        tag = headers.get("Last-Modified", "")
    found = _RANGE.fullmatch(headers.get("Content-Range", ""))
    text = found[2] if found else headers.get("Content-Length", "")
    total = int(text) if text.isdecimal() else None
    if "x-amz-request-id" not in headers:
        return Version(tag, total)
    encryption = headers.get("x-amz-server-side-encryption", "")
    return Version(tag, total, md5_of_tag(headers.get("ETag", ""), encryption))
