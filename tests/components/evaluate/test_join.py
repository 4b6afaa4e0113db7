"""Predictions and truth, one to one."""

from collections.abc import Callable
from typing import Any

import pytest

from components.evaluate.join import Sample, join
from components.shared.errors import UserError
from components.shared.predictions import ModelIdentity, Prediction

SampleOf = Callable[..., Sample]
CLASSES = ["bicycle", "motorcycle"]


@pytest.fixture
def samples(sample: SampleOf) -> list[Sample]:
    answer = Prediction(label=1, score=0.75, probabilities=(0.25, 0.75))
    return [sample(name, label=0, prediction=answer) for name in "abcde"]


def test_matches_by_id_whatever_the_order(
    project: Callable[..., Any], samples: list[Sample]
) -> None:
    files = project("classify", CLASSES, samples[:2], samples, change=lambda rows: rows[::-1])
    joined = join(files.predictions, files.table, "classify")
    assert [one.image_id for one in joined.val] == ["val/a", "val/b"]
    assert [one.image_id for one in joined.test] == [f"test/{name}" for name in "abcde"]
    assert joined.test[0].prediction == samples[0].prediction


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-2], r"2 images of val and test have no prediction \(test/d, test/e\)"),
        (lambda rows: rows[1:], r"1 images of val and test have no prediction \(val/a\)"),
        (lambda rows: [*rows, rows[-1]], "image test/e has more than one prediction"),
        (
            lambda rows: [*rows, ("other", *rows[0][1:])],
            r"1 predictions are for images that are not in val or test .*\(other\)",
        ),
        (
            lambda rows: [*rows, ("train/a", *rows[0][1:])],
            r"not in val or test .*\(train/a\)",
        ),
        (
            lambda rows: [(rows[0][0], "test", rows[0][2]), *rows[1:]],
            "image val/a is of split test, but of split val",
        ),
        (
            lambda rows: [(*rows[0][:2], Prediction(count=3)), *rows[1:]],
            "the prediction of image val/a has no label",
        ),
    ],
)
def test_anything_but_one_to_one_is_refused(
    project: Callable[..., Any],
    samples: list[Sample],
    change: Callable[[list[Any]], list[Any]],
    message: str,
) -> None:
    files = project("classify", CLASSES, samples[:2], samples, change=change)
    with pytest.raises(UserError, match=message):
        join(files.predictions, files.table, "classify")


@pytest.mark.parametrize(
    ("identity", "task", "message"),
    [
        (ModelIdentity("m", "1", "count", ()), "classify", "the model is for task count"),
        (ModelIdentity("m", "1", "count", ()), "count", "the table is for task classify"),
        (
            ModelIdentity("m", "1", "classify", ("motorcycle", "bicycle")),
            "classify",
            "class indices would be mixed up",
        ),
    ],
)
def test_a_model_of_something_else_is_refused(
    project: Callable[..., Any],
    samples: list[Sample],
    identity: ModelIdentity,
    task: Any,
    message: str,
) -> None:
    files = project("classify", CLASSES, samples, samples, identity=identity)
    with pytest.raises(UserError, match=message):
        join(files.predictions, files.table, task)


def test_a_table_without_test_images_is_refused(
    project: Callable[..., Any], samples: list[Sample]
) -> None:
    files = project("classify", CLASSES, samples, [])
    with pytest.raises(UserError, match="no image is in split test"):
        join(files.predictions, files.table, "classify")


def test_an_image_without_a_label_is_refused(project: Callable[..., Any], sample: SampleOf) -> None:
    unlabelled = sample("a", prediction=Prediction(label=1))
    files = project("classify", CLASSES, [], [unlabelled])
    with pytest.raises(UserError, match="image test/a has no label"):
        join(files.predictions, files.table, "classify")
