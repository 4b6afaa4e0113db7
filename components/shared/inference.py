"""Run a trained model over encoded images: the same code for prediction and serving."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from components.shared.archive import Archive, read_archive
from components.shared.cores import usable_cores
from components.shared.errors import UserError
from components.shared.models import Classifier, create_model, expected_count
from components.shared.models.detection import Detector
from components.shared.predictions import Detection, ModelIdentity, Prediction
from components.shared.task import Axis
from components.shared.transforms import MEAN, STD, ImageError, normalize, read_images

__all__ = ["ImageError", "Predictor"]

_DECODERS = 4  # threads


class Predictor:
    """A trained model, ready to answer for encoded images. One thread at a time may use it.

    Attributes:
        identity: which model it is; its version is the SHA-256 of the archive.
        image_size: edge that images are fitted to, pixels.
    """

    def __init__(self, archive: Archive, device: torch.device) -> None:
        card = archive.card
        if (card.mean, card.std) != (MEAN, STD):
            raise UserError(
                f"the archive's model {card.name} was trained on images normalized by {card.mean} "
                f"and {card.std}; this release normalizes by {MEAN} and {STD}: use the release "
                "that trained it"
            )
        network = create_model(
            card.name,
            card.task,
            outputs=card.outputs,
            image_size=card.image_size,
            nms_threshold=card.nms_threshold,
        )
        try:
            network.load_state_dict(archive.weights)
        except RuntimeError as error:
            raise UserError(
                f"the archive's weights do not fit its model {card.name} "
                f"({str(error).splitlines()[-1].strip()}); run train again"
            ) from None
        self.identity: ModelIdentity = archive.identity
        self.image_size = card.image_size
        self._card = card
        self._device = device
        self._network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._decoders = ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode")

    @classmethod
    def load(cls, archive: Path, device: str = "auto") -> Self:
        """Read a model archive.

        Args:
            archive: what the train step wrote.
            device: `cpu`, `cuda`, or `auto`: a GPU where there is one.

        Raises:
            UserError: if the archive is not whole, or there is no such device.
        """
        torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
        return cls(read_archive(archive), _device(device))

    def predict(self, images: Sequence[bytes]) -> list[Prediction]:
        """Answer for each encoded image.

        Images do not influence each other's answers. Computed in float32.

        Raises:
            ImageError: if one of them cannot be decoded; it says which.
        """
        if not images:
            return []
        batch = read_images(images, self.image_size, self._decoders)
        with torch.inference_mode():
            return self._answers(normalize(batch.to(self._device)))

    def _answers(self, images: Tensor) -> list[Prediction]:
        network, card = self._network, self._card
        if isinstance(network, Detector):
            found = network.decode(network(images), card.min_score, card.max_detections)
            return [_detections(rows.cpu()) for rows in found]
        assert isinstance(network, Classifier)  # noqa: S101 -- there are but the two
        views = [network.probabilities(network(view)) for view in _views(images, card.mirrored)]
        probabilities = torch.stack(views).double().mean(dim=0).cpu()
        return _counts(probabilities) if card.task == "count" else _classes(probabilities)


def _views(images: Tensor, mirrored: Sequence[Axis]) -> list[Tensor]:
    """Return the images and, along each axis, the mirror images of all before."""
    views = [images]
    for axis in mirrored:
        views += [view.flip(3 if axis == "horizontal" else 2) for view in views]
    return views


def _detections(rows: Tensor) -> Prediction:
    boxes = tuple(Detection(int(label), *row) for label, *row in rows.tolist())
    return Prediction(score=boxes[0].score if boxes else 0.0, boxes=boxes)


def _classes(probabilities: Tensor) -> list[Prediction]:
    scores, labels = probabilities.max(dim=1)
    return [
        Prediction(label=label, score=score, probabilities=tuple(row))
        for label, score, row in zip(
            labels.tolist(), scores.tolist(), probabilities.tolist(), strict=True
        )
    ]


def _counts(probabilities: Tensor) -> list[Prediction]:
    """The reported count is the likeliest; the expected one is the distribution's mean."""
    likeliest = probabilities.argmax(dim=1).tolist()
    expected = expected_count(probabilities).tolist()
    return [
        Prediction(count=count, count_expected=mean, probabilities=tuple(row))
        for count, mean, row in zip(likeliest, expected, probabilities.tolist(), strict=True)
    ]


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"device '{name}' is not known; use auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device 'cuda': there is no GPU that torch can use here; use auto or cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    # A GPU's shortened float32 would give other answers than the CPU that they are compared with.
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)
