"""Answer many clients with one model: whoever waits while the model works shares its next batch.

No request ever waits for company, so a single client loses nothing, and many clients gain what
batches gain. The model runs in one thread of its own: the event loop stays free for /ping.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self

from components.deploy.request import RefusedError
from components.shared.predictions import ModelIdentity, Prediction
from components.shared.transforms import ImageError


class ImageModel(Protocol):
    """What is served: anything that answers for encoded images."""

    @property
    def identity(self) -> ModelIdentity:
        """Which model it is."""

    def predict(self, images: Sequence[bytes]) -> list[Prediction]:
        """Answer for each image; raise `ImageError` if one of them cannot be decoded."""


class BusyError(Exception):
    """More requests are waiting than are let wait."""


_Waiting = tuple[bytes, asyncio.Future[Prediction]]


class Batcher:
    """Runs a model over images from concurrent requests. An async context manager.

    Args:
        model: used by one thread at a time.
        waiting: most requests that wait; further ones are refused at once.
        largest: most images in one batch.
    """

    def __init__(self, model: ImageModel, waiting: int, largest: int = 16) -> None:
        self._model = model
        self._largest = largest
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(waiting)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def alive(self) -> bool:
        """Whether requests will be answered."""
        return self._task is not None and not self._task.done()

    async def predict(self, image: bytes) -> Prediction:
        """Answer for one image.

        Raises:
            BusyError: if too many requests wait already.
            RefusedError: 400, if the image cannot be decoded.
        """
        answer: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((image, answer))
        except asyncio.QueueFull:
            raise BusyError from None
        return await answer

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._largest and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            images = [image for image, _ in batch]
            outcomes = await loop.run_in_executor(self._thread, self._predict, images)
            for (_, answer), outcome in zip(batch, outcomes, strict=True):
                _settle(answer, outcome)

    def _predict(self, images: list[bytes]) -> list[Prediction | Exception]:
        """Answer for each image, or say why not; one bad image spoils no other's answer."""
        try:
            answers = self._model.predict(images)
            if len(answers) != len(images):
                raise RuntimeError(f"{len(answers)} answers for {len(images)} images")
            return list(answers)
        except ImageError as error:
            if len(images) == 1:
                return [RefusedError(400, error.reason)]
        except Exception as error:  # the model's own fault: these requests fail, the server lives
            return [error] * len(images)
        return [outcome for image in images for outcome in self._predict([image])]


def _settle(answer: asyncio.Future[Prediction], outcome: Prediction | Exception) -> None:
    if answer.done():  # its client has gone
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
