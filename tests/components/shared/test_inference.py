import io
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageOps

from components.shared.archive import Archive, ModelCard
from components.shared.errors import UserError
from components.shared.inference import ImageError, Predictor
from components.shared.models import create_model
from components.shared.predictions import Prediction
from components.shared.task import Axis, Task
from components.shared.transforms import MEAN, STD, normalize, read_images

CLASSES = {"classify": ("cat", "dog", "owl"), "count": (), "detect": ("cell", "platelet")}
MODELS = {"classify": "resnet9", "count": "resnet18", "detect": "fcos_resnet18"}


def encode(color: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    picture = Image.linear_gradient("L").resize(size)
    Image.composite(Image.new("RGB", size, color), Image.new("RGB", size), picture).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


IMAGES = [encode((200, 40, 10)), encode((10, 220, 90), (64, 64)), encode((30, 60, 255), (20, 90))]


@pytest.fixture
def make() -> Callable[[Task], Predictor]:
    """Return a function that makes a predictor with random weights."""

    def create(task: Task) -> Predictor:
        return Predictor(archive(task), torch.device("cpu"))

    return create


def archive(task: Task) -> Archive:
    torch.manual_seed(0)
    outputs = len(CLASSES[task]) or 5
    network = create_model(MODELS[task], task, outputs=outputs, image_size=64)
    for module in network.modules():  # statistics as training leaves them, not as it finds them
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.2)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    card = ModelCard(
        name=MODELS[task],
        task=task,
        classes=CLASSES[task],
        outputs=outputs,
        image_size=64,
        mean=MEAN,
        std=STD,
        nms_threshold=0.5,
        min_score=0.001,
        max_detections=20,
        metrics={},
        epoch=1,
        seed=0,
        settings={},
        data={},
        libraries={},
    )
    return Archive(card, dict(network.state_dict()), "ab" * 32)


def numbers(prediction: Prediction) -> list[float]:
    boxes = [
        (box.label, box.score, box.xmin, box.ymin, box.xmax, box.ymax)
        for box in prediction.boxes or ()
    ]
    return [*(prediction.probabilities or ()), *(value for box in boxes for value in box)]


@pytest.mark.parametrize("task", ["classify", "count", "detect"])
def test_an_answer_does_not_depend_on_the_other_images(
    make: Callable[[Task], Predictor], task: Task
) -> None:
    predictor = make(task)
    together = predictor.predict(IMAGES)
    alone = [predictor.predict([image])[0] for image in IMAGES]
    for one, other in zip(together, alone, strict=True):
        assert numbers(one) == pytest.approx(numbers(other), abs=1e-4)
    assert numbers(together[0]) != pytest.approx(numbers(together[1]), abs=1e-3)
    assert predictor.predict([]) == []


@pytest.mark.parametrize("task", ["classify", "count"])
def test_serving_sees_what_validation_saw(make: Callable[[Task], Predictor], task: Task) -> None:
    found = archive(task)
    network = create_model(MODELS[task], task, outputs=found.card.outputs, image_size=64)
    network.load_state_dict(found.weights)
    network.eval()
    with torch.no_grad():
        logits = network(normalize(read_images(IMAGES, 64, None)))
    expected = logits.softmax(dim=1).flatten().tolist()
    found_by_serving = make(task).predict(IMAGES)
    answers = [value for one in found_by_serving for value in numbers(one)]
    assert answers == pytest.approx(expected, abs=1e-5)


def test_classes_have_a_distribution_and_its_likeliest(make: Callable[[Task], Predictor]) -> None:
    for found in make("classify").predict(IMAGES):
        assert found.probabilities is not None
        assert len(found.probabilities) == 3
        assert math.fsum(found.probabilities) == pytest.approx(1, abs=1e-6)
        assert found.label is not None
        assert found.score == max(found.probabilities) == found.probabilities[found.label]


@pytest.mark.parametrize("mirrored", [("horizontal",), ("vertical",), ("horizontal", "vertical")])
def test_an_image_and_its_mirror_image_get_the_same_mean_answer(
    mirrored: tuple[Axis, ...],
) -> None:
    found = archive("count")
    plain = Predictor(found, torch.device("cpu"))
    card = found.card.model_copy(update={"mirrored": mirrored})
    averaging = Predictor(Archive(card, found.weights, found.sha256), torch.device("cpu"))
    views = [Image.frombytes("RGB", (8, 8), bytes(range(0, 192))).resize((64, 64))]
    for axis in mirrored:
        flip = ImageOps.mirror if axis == "horizontal" else ImageOps.flip
        views += [flip(view) for view in views]
    encoded = []
    for view in views:
        view.save(buffer := io.BytesIO(), "PNG")
        encoded.append(buffer.getvalue())
    alone = [numbers(one) for one in plain.predict(encoded)]
    mean = [math.fsum(values) / len(views) for values in zip(*alone, strict=True)]
    assert alone[0] != pytest.approx(mean, abs=1e-4)
    for answer in averaging.predict(encoded):
        assert numbers(answer) == pytest.approx(mean, abs=1e-5)


def test_counts_have_the_likeliest_and_the_expected(make: Callable[[Task], Predictor]) -> None:
    for found in make("count").predict(IMAGES):
        assert found.probabilities is not None
        assert found.count == found.probabilities.index(max(found.probabilities))
        mean = sum(count * share for count, share in enumerate(found.probabilities))
        assert found.count_expected == pytest.approx(mean, abs=1e-6)


def test_detections_are_sorted_and_inside_the_image(make: Callable[[Task], Predictor]) -> None:
    for found in make("detect").predict(IMAGES):
        assert found.boxes
        assert len(found.boxes) <= 20
        scores = [box.score for box in found.boxes]
        assert scores == sorted(scores, reverse=True)
        assert found.score == scores[0]
        for box in found.boxes:
            assert box.label in (0, 1)
            assert 0 <= box.xmin < box.xmax <= 1
            assert 0 <= box.ymin < box.ymax <= 1


def test_a_bad_image_is_named(make: Callable[[Task], Predictor]) -> None:
    with pytest.raises(ImageError) as caught:
        make("classify").predict([IMAGES[0], b"\xff\xd8\xff no more"])
    assert caught.value.index == 1


def test_weights_of_another_model_are_refused() -> None:
    found = archive("classify")
    without = {name: value for name, value in found.weights.items() if name != "head.bias"}
    with pytest.raises(UserError, match="do not fit its model resnet9"):
        Predictor(Archive(found.card, without, found.sha256), torch.device("cpu"))


def test_a_device_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such model archive"):
        Predictor.load(tmp_path / "model.tar.gz", "cpu")
