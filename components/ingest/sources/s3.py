"""Folders and archives in S3."""

import io
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Final, TypeVar

import boto3
import urllib3
from botocore import UNSIGNED, exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.ingest.sources.base import Member, PassOver, bounded_read, ignore
from components.ingest.sources.downloads import Answer, md5_of_tag
from components.ingest.sources.hidden import is_visible
from components.ingest.sources.retry import RETRIED_STATUS, Attempts, TransientError, retry_after
from components.ingest.sources.slot import Version
from components.shared.errors import UserError

Result = TypeVar("Result")

THREADS: Final = 16  # requests in flight for one process: S3 answers slowly but in parallel
TIMEOUT_S: Final = (10.0, 60.0)  # to connect, and between two pieces
_PIECE: Final = 1 << 16
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+)")
_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_CHANGED: Final = frozenset({"412", "PreconditionFailed", "416", "InvalidRange"})
_BUSY: Final = frozenset(
    {"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "InternalError",
     "ServiceUnavailable", "RequestLimitExceeded", "503"}
)  # fmt: skip
# What a connection that breaks raises, of botocore's and of what lies below it.
_BROKEN: Final = (
    exceptions.ConnectionError,
    exceptions.HTTPClientError,
    exceptions.IncompleteReadError,
    urllib3.exceptions.HTTPError,
)


class Bucket:
    """Requests to one bucket. Picklable; every process makes its own client."""

    def __init__(self, name: str, *, anonymous: bool, endpoint_url: str | None) -> None:
        self.name = name
        self.endpoint_url = endpoint_url
        self._anonymous = anonymous
        self._made: Any = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        """Leave client and lock behind: neither travels to another process."""
        return {**self.__dict__, "_made": None, "_lock": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def get(self, key: str, start: int = 0, tag: str = "") -> Mapping[str, Any]:
        """Ask once for an object's bytes from `start` on, if it is still of this ETag.

        Raises:
            TransientError: if another attempt may succeed.
            FileNotFoundError: if there is no such object.
            PermissionError: if it may not be read, or does not exist and that is not told.
            ObjectChangedError: if the object is another one now.
            UserError: if S3 refuses.
        """
        asked: dict[str, str] = {"Bucket": self.name, "Key": key}
        if start:
            asked["Range"] = f"bytes={start}-"
        if tag:
            asked["IfMatch"] = tag
        with self._explained(key):
            answer: Mapping[str, Any] = self._client().get_object(**asked)
        return answer

    def objects(self, prefix: str) -> Iterator[Mapping[str, Any]]:
        """Yield every object below a prefix, tried again where a page does not come."""
        asked: dict[str, Any] = {"Bucket": self.name, "Prefix": prefix}
        while True:
            page = self._tried(prefix, lambda: self._client().list_objects_v2(**asked))
            yield from page.get("Contents", [])
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def has(self, key: str) -> bool:
        """Whether an object of exactly this key exists."""
        try:
            self._tried(key, lambda: self._client().head_object(Bucket=self.name, Key=key))
        except FileNotFoundError:
            return False
        return True

    def address(self, key: str) -> str:
        """Return an object's address, as a person writes it."""
        return f"s3://{self.name}/{key}"

    def _tried(self, key: str, request: Callable[[], Result]) -> Result:
        attempts = Attempts(self.address(key))
        while True:
            try:
                with self._explained(key):
                    return request()
            except TransientError as error:
                attempts.failed(error)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._explain(error, key) from None
        except _BROKEN as error:
            raise TransientError(str(error)) from None
        except BotoCoreError as error:
            raise self._refused(error, key) from None

    def _explain(self, error: ClientError, key: str) -> Exception:
        code = error.response.get("Error", {}).get("Code", "")
        answer = error.response.get("ResponseMetadata", {})
        if code in _BUSY or answer.get("HTTPStatusCode") in RETRIED_STATUS:
            wait = retry_after(answer.get("HTTPHeaders", {}).get("retry-after"))
            return TransientError(str(error), wait)
        if code in _MISSING:
            return FileNotFoundError(f"{self.address(key)}: no such object")
        if code in _CHANGED:
            return ObjectChangedError(f"{self.address(key)} changed while it was read")
        if code == "AccessDenied" and error.operation_name == "GetObject":
            # What S3 says of a missing object as well, to who may not list the bucket.
            return PermissionError(str(self._refused(error, key)))
        return self._refused(error, key)

    def _refused(self, error: Exception, key: str) -> UserError:
        hint = (
            "the bucket may not be public: leave out ingest.anonymous and give credentials"
            if self._anonymous
            else "check ingest.uri and the AWS credentials (ingest.anonymous for a public bucket)"
        )
        return UserError(f"{self.address(key)}: S3 refused: {error}; {hint}")

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                settings = Config(
                    retries={"total_max_attempts": 1},  # `Attempts` also covers broken bodies
                    connect_timeout=TIMEOUT_S[0],
                    read_timeout=TIMEOUT_S[1],
                    max_pool_connections=THREADS,
                    signature_version=UNSIGNED if self._anonymous else None,
                )
                self._made = boto3.session.Session().client(
                    "s3", config=settings, endpoint_url=self.endpoint_url
                )
        return self._made


class ObjectChangedError(OSError):
    """An object was replaced by another one while it was read."""


class S3Source:
    """The objects below a prefix."""

    archive = None

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self.uri = bucket.address(prefix)
        self._bucket = bucket
        self._prefix = prefix if not prefix or prefix.endswith("/") else prefix + "/"

    def members(self, pass_over: PassOver = ignore) -> Iterator[Member]:
        """Yield every visible object, by its key after the prefix."""
        for found in self._bucket.objects(self._prefix):
            path = found["Key"].removeprefix(self._prefix)
            if path and not path.endswith("/") and is_visible(path, pass_over):
                yield Member(path, found["Size"])

    def open(self, path: str) -> BinaryIO:
        """Open an object as a stream that goes on after a cut connection."""
        return io.BufferedReader(_ObjectStream(self._bucket, self._prefix + path), _PIECE)

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
        with self.open(path) as stream:
            return bounded_read(stream, path)


class _ObjectStream(io.RawIOBase):
    """An object's bytes; after a broken connection the rest is asked for."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        super().__init__()
        self._bucket = bucket
        self._key = key
        self._attempts = Attempts(bucket.address(key))
        self._body: Any = None
        self._tag = ""
        self._position = 0
        self._total = -1

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            try:
                data = self._read(len(buffer))
            except TransientError as error:
                self._drop()
                self._attempts.failed(error)
                continue
            if data:
                self._attempts.succeeded()
            self._position += len(data)
            buffer[: len(data)] = data
            return len(data)

    def _read(self, size: int) -> bytes:
        if self._position == self._total:
            return b""
        if self._body is None:
            answer = self._bucket.get(self._key, self._position, self._tag)
            self._body, self._tag = answer["Body"], answer["ETag"]
            self._total = self._position + int(answer["ContentLength"])
        with broken_bodies():
            data: bytes = self._body.read(size)
        return data

    def _drop(self) -> None:
        if self._body is not None:
            with suppress(Exception):  # it is broken already
                self._body.close()
        self._body = None

    def close(self) -> None:
        self._drop()
        super().close()


class S3Object:
    """A `Remote` in S3: an archive, to be downloaded whole."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self.name = bucket.address(key)
        self.key = f"{bucket.endpoint_url or ''} {self.name}"
        self._bucket = bucket
        self._key = key

    @contextmanager
    def open(self, start: int, tag: str) -> Iterator[Answer]:
        """Ask for the bytes from `start` on; see `Remote`."""
        answer = self._get(start, tag)
        found = _RANGE.fullmatch(answer.get("ContentRange", ""))
        begins = int(found[1]) if found else 0
        if begins != start:  # the answer is of a server that does not know ranges
            answer["Body"].close()
            answer = self._get(0, "")
            begins, found = 0, None
        total = int(found[2]) if found else int(answer["ContentLength"])
        encryption = answer.get("SSECustomerAlgorithm") or answer.get("ServerSideEncryption", "")
        md5 = md5_of_tag(answer["ETag"], encryption)
        body = answer["Body"]
        try:
            yield Answer(Version(answer["ETag"], total, md5), begins, _pieces(body))
        finally:
            body.close()

    def _get(self, start: int, tag: str) -> Mapping[str, Any]:
        try:
            return self._bucket.get(self._key, start, tag if start else "")
        except ObjectChangedError:
            return self._get(0, "")
        except FileNotFoundError as error:
            raise UserError(f"{error}; check ingest.uri") from None


def _pieces(body: Any) -> Iterator[bytes]:
    while True:
        with broken_bodies():
            piece: bytes = body.read(_PIECE)
        if not piece:
            return
        yield piece


@contextmanager
def broken_bodies() -> Iterator[None]:
    """Turn what a body that breaks off raises into a `TransientError`."""
    try:
        yield
    except (*_BROKEN, BotoCoreError, OSError) as error:
        raise TransientError(str(error) or type(error).__name__) from None
