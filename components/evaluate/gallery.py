"""The images the model did worst on, with truth and prediction."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from components.evaluate.join import Sample
from components.evaluate.matching import outcomes
from components.evaluate.measured import Floats
from components.shared.images_io import UnreadableImageError, open_image
from components.shared.report import DrawnBox, Picture, draw_boxes, thumbnail
from components.shared.shards import read_images

# Colours that stand out on photographs; missed boxes are dashed, so colour is not all.
CORRECT, FALSE, MISSED = "#22c55e", "#f97316", "#22d3ee"
_EDGE = 480
_CAPTION = 60  # characters of an image's id


def worst_pictures(
    folder: Path,
    samples: Sequence[Sample],
    losses: Floats,
    classes: Sequence[str],
    threshold: float | None,
    limit: int,
) -> list[Picture]:
    """Return pictures of the images with the largest loss, largest first; none without loss.

    Args:
        folder: shards that hold the images; one that lacks there or cannot be decoded is
            passed over.
        samples: all test images, with truth and prediction.
        losses: (n,) how wrong each is.
        classes: names by label.
        threshold: detections from this score upwards are drawn; None: there are no boxes.
        limit: pictures at most.
    """
    order = np.argsort(-losses, kind="stable")[:limit]
    chosen = [samples[index] for index in order if losses[index] > 0]
    data = read_images(folder, [sample.image_id for sample in chosen])
    pictures = []
    for sample in chosen:
        image = _decode(data.get(sample.image_id))
        if image is not None:
            pictures.append(_picture(image, sample, classes, threshold))
    return pictures


def _decode(data: bytes | None) -> Image.Image | None:
    if data is None:
        return None
    try:
        return open_image(data)
    except UnreadableImageError:
        return None


def _picture(
    image: Image.Image, sample: Sample, classes: Sequence[str], threshold: float | None
) -> Picture:
    words = describe(sample, classes, threshold)
    if threshold is None:
        shown = thumbnail(image, _EDGE)
    else:
        shown = draw_boxes(image, _drawn(sample, classes, threshold), _EDGE)
    name = sample.image_id
    if len(name) > _CAPTION:
        name = "\N{HORIZONTAL ELLIPSIS}" + name[1 - _CAPTION :]
    return Picture(shown, alt=f"{sample.image_id}: {words}", caption=f"{words}\n{name}")


def describe(sample: Sample, classes: Sequence[str], threshold: float | None) -> str:
    """Say truth and prediction of an image in a line."""
    prediction = sample.prediction
    if threshold is not None:
        correct, seen = outcomes(sample, threshold)
        kept = sum(box.score >= threshold for box in prediction.boxes or ())
        return f"{correct.sum()} correct, {kept - correct.sum()} false, {(~seen).sum()} missed"
    if sample.label is not None and prediction.label is not None:
        sure = "" if prediction.score is None else f" ({prediction.score:.0%})"
        return f"true {classes[sample.label]}, predicted {classes[prediction.label]}{sure}"
    expected = prediction.count_expected
    more = "" if expected is None else f" (expected {expected:.1f})"
    return f"true {sample.count}, predicted {prediction.count}{more}"


def _drawn(sample: Sample, classes: Sequence[str], threshold: float) -> list[DrawnBox]:
    """Draw correct detections plainly; name only what is wrong, so that it stands out."""
    correct, seen = outcomes(sample, threshold)
    detections = sample.prediction.boxes or ()
    kept = [
        (box, hit) for box, hit in zip(detections, correct, strict=True) if box.score >= threshold
    ]
    right = [
        DrawnBox(box.xmin, box.ymin, box.xmax, box.ymax, color=CORRECT) for box, hit in kept if hit
    ]
    missed = [
        DrawnBox(*box[1:], label=classes[box[0]], color=MISSED, dashed=True)
        for box, found in zip(sample.boxes, seen, strict=True)
        if not found
    ]
    wrong = [
        DrawnBox(
            box.xmin, box.ymin, box.xmax, box.ymax, f"{classes[box.label]} {box.score:.2f}", FALSE
        )
        for box, hit in kept
        if not hit
    ]
    return right + missed + wrong
