"""Folders and archives in S3."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.ingest.sources.base import Member, bounded_read
from components.ingest.sources.local import is_hidden
from components.shared.errors import UserError

THREADS = 16  # requests in flight for one process: S3 answers slowly but in parallel


class S3Source:
    """The objects below a prefix."""

    def __init__(
        self, bucket: str, prefix: str, *, anonymous: bool = False, endpoint_url: str | None = None
    ) -> None:
        self.uri = f"s3://{bucket}/{prefix}"
        self._bucket = bucket
        self._prefix = prefix if not prefix or prefix.endswith("/") else prefix + "/"
        self._anonymous = anonymous
        self._endpoint_url = endpoint_url
        self._made: Any = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        """Leave client and lock behind: neither travels to another process."""
        return {**self.__dict__, "_made": None, "_lock": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def members(self) -> Iterator[Member]:
        """Yield every visible object, by its key after the prefix."""
        pages = self._client().get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for found in page.get("Contents", []):
                    path = found["Key"].removeprefix(self._prefix)
                    hidden = any(is_hidden(part) for part in path.split("/"))
                    if path and not path.endswith("/") and not hidden:
                        yield Member(path, found["Size"])
        except (BotoCoreError, ClientError) as error:
            raise self._refused(error) from None

    def open(self, path: str) -> BinaryIO:
        """Open an object as a stream."""
        try:
            answer = self._client().get_object(Bucket=self._bucket, Key=self._prefix + path)
        except (BotoCoreError, ClientError) as error:
            raise self._refused(error, path) from None
        return cast(BinaryIO, answer["Body"])

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """Yield the contents of objects, `THREADS` of them on the way at a time."""
        waiting: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(THREADS) as pool:
            for path in paths:
                waiting.append(pool.submit(self._read, path))
                if len(waiting) >= THREADS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _read(self, path: str) -> bytes:
        stream = self.open(path)
        try:
            return bounded_read(stream, path)
        except BotoCoreError as error:
            raise self._refused(error, path) from None
        finally:
            stream.close()

    def is_object(self, key: str) -> bool:
        """Whether an object of exactly this key exists."""
        try:
            self._client().head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"404", "NoSuchKey", "NotFound"}:
                return False
            raise self._refused(error) from None
        except BotoCoreError as error:
            raise self._refused(error) from None
        return True

    def download(self, key: str, into: Path) -> Path:
        """Download one object to the file `into`, written aside and renamed when whole."""
        part = into.with_name(into.name + ".part")
        try:
            self._client().download_file(self._bucket, key, str(part))
        except (BotoCoreError, ClientError) as error:
            raise self._refused(error) from None
        return part.replace(into)

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                settings = Config(
                    retries={"mode": "standard", "max_attempts": 5},
                    max_pool_connections=THREADS,
                    signature_version=UNSIGNED if self._anonymous else None,
                )
                self._made = boto3.session.Session().client(
                    "s3", config=settings, endpoint_url=self._endpoint_url
                )
        return self._made

    def _refused(self, error: Exception, path: str = "") -> UserError:
        where = f"s3://{self._bucket}/{self._prefix}{path}"
        hint = (
            "the bucket may not be public: leave out ingest.anonymous and give credentials"
            if self._anonymous
            else "check ingest.uri and the AWS credentials (ingest.anonymous for a public bucket)"
        )
        return UserError(f"{where}: S3 refused: {error}; {hint}")
