"""When to try a request again, and how long to wait before it."""

import random
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from components.shared.errors import UserError

ATTEMPTS = 6  # in a row that bring nothing new
BACKOFF_S = 1.0  # before the second attempt; doubled before each further one
MOST_BACKOFF_S: Final = 30.0
MOST_ASKED_S: Final = 300.0  # a server that asks for more is answered with an error
RETRIED_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class TransientError(Exception):
    """A failure that another attempt may mend.

    Attributes:
        wait: seconds the server asks to wait; None when it does not say.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Attempts:
    """Count the attempts in a row that fail, and wait between them.

    The wait doubles from one to the next, with half of it drawn at random: processes that
    were refused together do not all come back together.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._failed = 0

    def succeeded(self) -> None:
        """Begin to count anew: something has come."""
        self._failed = 0

    def failed(self, error: TransientError) -> None:
        """Wait before the next attempt.

        Raises:
            UserError: if this was the last one, or the server asks for more patience than ours.
        """
        self._failed += 1
        if self._failed >= ATTEMPTS:
            raise UserError(f"{self._what}: failed {ATTEMPTS} times; the last time: {error}")
        if error.wait is not None and error.wait > MOST_ASKED_S:
            raise UserError(
                f"{self._what}: the server asks to come back in {error.wait:,.0f} s ({error}); "
                "run again then"
            )
        longest = min(MOST_BACKOFF_S, BACKOFF_S * 2.0 ** (self._failed - 1))
        jittered = longest * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
        time.sleep(max(jittered, error.wait or 0.0))


def retry_after(value: str | None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for: a number, or a date (RFC 9110)."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
