"""What every component body wraps its logic in."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from components.shared.errors import UserError


@contextmanager
def reported_errors() -> Iterator[None]:
    """End the task with the message alone when the user can mend the cause.

    Anything else keeps its traceback: it is our mistake, and the log should show where.
    """
    try:
        yield
    except UserError as error:
        sys.stdout.flush()
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
