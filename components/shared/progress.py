"""Progress of long work: a bar on a terminal, a plain line now and then in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import TypeVar

Item = TypeVar("Item")

LINE_SECONDS = 10.0  # a log gets a line at most this often


def progress(
    iterable: Iterable[Item], total: int | None, label: str, *, every: float = LINE_SECONDS
) -> Iterator[Item]:
    """Yield the items of `iterable`, reporting how many are done on standard error.

    On a terminal that is tqdm's bar; elsewhere a line such as
    `label: 1,200/5,000 (24%) 350/s, 11 s left`, at most one in `every` seconds, and a last
    one when the work took longer than that.

    Args:
        iterable: the work's items; each counts as done when the next is asked for.
        total: how many there are, or None when nobody knows.
        label: what is being done, e.g. `reading images`.
        every: fewest seconds between two plain lines.
    """
    # Not every image that uses this has tqdm; there, a terminal gets lines as well.
    if sys.stderr.isatty() and find_spec("tqdm"):
        from tqdm import tqdm  # noqa: PLC0415 -- a log never needs it

        yield from tqdm(iterable, total=total, desc=label)
        return
    yield from _with_lines(iterable, total, label, every)


def _with_lines(
    iterable: Iterable[Item], total: int | None, label: str, every: float
) -> Iterator[Item]:
    start = last = time.monotonic()
    done = printed = 0
    for item in iterable:
        yield item
        done += 1
        now = time.monotonic()
        if now - last >= every:
            _print(line(label, done, total, now - start))
            last, printed = now, done
    if printed and printed != done:
        _print(line(label, done, total, time.monotonic() - start))


def line(label: str, done: int, total: int | None, seconds: float) -> str:
    """Return one plain line: how many are done, how fast, and how long the rest takes."""
    rate = done / seconds if seconds > 0 else 0.0
    speed = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"
    if not total:
        return f"{label}: {done:,} {speed}"
    text = f"{label}: {done:,}/{total:,} ({done / total:.0%}) {speed}"
    if done < total and rate > 0:
        text += f", {duration((total - done) / rate)} left"
    return text


def duration(seconds: float) -> str:
    """Return seconds as a person says them: `11 s`, `4 min 10 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
