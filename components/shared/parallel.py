"""Work on chunks in several processes, results in the order of the input."""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

from components.shared.cores import usable_cores

Item = TypeVar("Item")
Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

_AHEAD = 3  # chunks waiting or done, a worker: bounds what is in memory
PATIENCE_S = 2.0
CHUNK_ITEMS = 32
CHUNK_BYTES = 8 * 1024 * 1024


def worker_count(asked: int) -> int:
    """Return the number of processes: `asked`, or for 0 one a core this process may use."""
    return asked or usable_cores()


def chunked(items: Iterable[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield lists of at most `CHUNK_ITEMS` items and, beyond the first, `CHUNK_BYTES`."""
    chunk: list[Item] = []
    total = 0
    for item in items:
        if chunk and (len(chunk) == CHUNK_ITEMS or total + size(item) > CHUNK_BYTES):
            yield chunk
            chunk, total = [], 0
        chunk.append(item)
        total += size(item)
    if chunk:
        yield chunk


def map_chunks(
    function: Callable[[Chunk], Result],
    chunks: Iterable[Chunk],
    workers: int,
) -> Iterator[Result]:
    """Yield `function(chunk)` in the order of `chunks`, computed by `workers` processes.

    The first `PATIENCE_S` seconds of work are done in this process, and all of it with one
    worker: starting processes costs more than a small dataset. The result is the same for
    any number. `function` must be picklable.
    """
    waiting = iter(chunks)
    start = time.monotonic()
    for chunk in waiting:
        yield function(chunk)
        if workers > 1 and time.monotonic() - start >= PATIENCE_S:
            break
    else:
        return
    yield from _map_in_processes(function, waiting, workers)


def _map_in_processes(
    function: Callable[[Chunk], Result], chunks: Iterable[Chunk], workers: int
) -> Iterator[Result]:
    # Forking a process that has threads (Arrow's, an SDK's) can deadlock, and a fork server
    # keeps the environment, credentials among it, of the moment it was first used.
    context = multiprocessing.get_context("spawn")
    waiting: deque[Future[Result]] = deque()
    # Each process gets the function once: what it holds (an open archive) is not made anew for
    # every chunk.
    with ProcessPoolExecutor(workers, context, _keep, (function,)) as pool:
        try:
            for chunk in chunks:
                waiting.append(pool.submit(_call_kept, chunk))
                if len(waiting) >= workers * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


_kept: list[Callable[[Any], Any]] = []  # in a worker process: its function


def _keep(function: Callable[[Any], Any]) -> None:
    _kept[:] = [function]


def _call_kept(chunk: Any) -> Any:
    return _kept[0](chunk)
