"""Every request gets its own answer, or its own refusal, and the work goes on."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from components.deploy.batching import Batcher
from components.deploy.request import RefusedError
from components.shared.predictions import Prediction


def _ask(model: Any, images: Sequence[bytes], largest: int = 16) -> list[Any]:
    async def all_at_once() -> list[Any]:
        async with Batcher(model, waiting=128, largest=largest) as batcher:
            asked = [batcher.predict(image) for image in images]
            return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(all_at_once())


def test_no_batch_is_larger_than_allowed(model: Any, encoded: Callable[..., bytes]) -> None:
    answers = _ask(model, [encoded()] * 10, largest=4)

    assert all(isinstance(answer, Prediction) for answer in answers)
    assert max(model.batches) == 4
    assert sum(model.batches) == 10


def test_one_bad_image_spoils_no_other_answer(model: Any, encoded: Callable[..., bytes]) -> None:
    answers = _ask(model, [encoded(60), b"bad", encoded(180)])

    assert isinstance(answers[1], RefusedError)
    assert answers[1].status == 400
    assert [answers[0].label, answers[2].label] == [0, 1]


@pytest.mark.parametrize("wrong", [[], [Prediction(), Prediction(), Prediction()]])
def test_a_model_that_answers_for_too_few_or_many_fails_those_requests_only(
    model: Any,
    encoded: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    wrong: list[Prediction],
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(model, "predict", lambda _: wrong)
        assert [type(answer) for answer in _ask(model, [encoded()] * 2)] == [RuntimeError] * 2

    assert isinstance(_ask(model, [encoded()])[0], Prediction)


def test_it_is_alive_within_its_context_only(model: Any) -> None:
    async def states() -> list[bool]:
        batcher = Batcher(model, waiting=1)
        before = batcher.alive
        async with batcher:
            within = batcher.alive
        await asyncio.sleep(0)
        return [before, within, batcher.alive]

    assert asyncio.run(states()) == [False, True, False]
