"""Read a small text from a file, a web server or S3."""

from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from components.shared.addresses import shown
from components.shared.errors import UserError

MOST_BYTES: Final = 1 << 20  # a profile is far smaller; a wrong address may be anything
BACKOFF_S: Final = 0.5  # doubled after each attempt
_ATTEMPTS: Final = 5
_TIMEOUT_S: Final = (10.0, 60.0)  # to connect, and between two pieces
_RETRIED: Final = (408, 425, 429, 500, 502, 503, 504)


def read_text(address: str, key: str, backoff: float = BACKOFF_S) -> str:
    """Return the text at a file, `file://`, `http(s)://` or `s3://` address.

    S3 uses the credentials, region and endpoint of the environment, as every AWS tool does.

    Args:
        address: where the text is.
        key: the config key that names the address, for messages.
        backoff: seconds before the second attempt over HTTP, doubled after each.

    Raises:
        UserError: if it cannot be read, is not UTF-8, or is larger than `MOST_BYTES`.
    """
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        data = _over_http(address, key, backoff)
    elif parts.scheme == "s3":
        data = _from_s3(parts.netloc, parts.path.lstrip("/"), address, key)
    elif "://" in address and parts.scheme != "file":
        raise UserError(f"{key}: {shown(address)}: give a file, http(s):// or s3://")
    else:
        data = _from_file(unquote(parts.path) if parts.scheme == "file" else address, key)
    if len(data) > MOST_BYTES:
        raise UserError(
            f"{key}: {shown(address)}: has more than {MOST_BYTES:,} bytes; give a profile"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{key}: {shown(address)}: is not UTF-8 text; give a profile") from None


def _from_file(path: str, key: str) -> bytes:
    try:
        with Path(path).expanduser().open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{key}: {path}: cannot be read ({error.strerror})") from None


def _over_http(address: str, key: str, backoff: float) -> bytes:
    retry = Retry(_ATTEMPTS, backoff_factor=backoff, status_forcelist=_RETRIED)
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        try:
            with session.get(address, stream=True, timeout=_TIMEOUT_S) as response:
                if response.status_code != requests.codes.ok:
                    raise UserError(
                        f"{key}: {shown(address)}: the server answered HTTP {response.status_code} "
                        f"{response.reason}"
                    )
                return _first_bytes(response)
        except requests.RequestException as error:
            # The exception's text quotes the address, with what may be secret in it.
            reason = type(error).__name__
            raise UserError(f"{key}: {shown(address)}: cannot be downloaded: {reason}") from None


def _first_bytes(response: requests.Response) -> bytes:
    found = bytearray()
    for piece in response.iter_content(1 << 16):
        found += piece
        if len(found) > MOST_BYTES:
            break
    return bytes(found)


def _from_s3(bucket: str, name: str, address: str, key: str) -> bytes:
    if not bucket or not name:
        raise UserError(f"{key}: {shown(address)}: give s3://bucket/key")
    try:
        client = boto3.session.Session().client(
            "s3", config=Config(retries={"mode": "standard", "max_attempts": _ATTEMPTS})
        )
        body = client.get_object(Bucket=bucket, Key=name)["Body"]
        with body:
            return bytes(body.read(MOST_BYTES + 1))
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"{key}: {shown(address)}: S3 refused: {error}") from None
