"""What the endpoint answers: one JSON value an image, and headers about the model.

The form of detections is that of SageMaker's built-in object detection algorithm
(https://docs.aws.amazon.com/sagemaker/latest/dg/object-detection-in-formats.html).
"""

import json
from typing import Any

from components.shared.predictions import Detection, ModelIdentity, Prediction
from components.shared.task import Task

CLASSES_HEADER = "X-Sightline-Classes"
VERSION_HEADER = "X-Sightline-Model-Version"

# HTTP clients and proxies commonly take 8 KiB for all headers; /ping names the classes anyway.
_LONGEST_HEADER = 4096


def answer(prediction: Prediction, task: Task) -> Any:
    """Return a prediction as the JSON value that is sent.

    - detect: `{"prediction": [[class index, score, xmin, ymin, xmax, ymax], …]}`, highest score
      first, coordinates normalized to [0, 1];
    - classify: the list of class probabilities;
    - count: `{"probabilities": […], "count": int, "expected_count": float}`, where entry i is
      the probability of i objects.
    """
    if task == "detect":
        return {"prediction": [_row(detection) for detection in prediction.boxes or ()]}
    probabilities = list(prediction.probabilities or ())
    if task == "classify":
        return probabilities
    return {
        "probabilities": probabilities,
        "count": prediction.count,
        "expected_count": prediction.count_expected,
    }


def _row(found: Detection) -> list[float]:
    return [found.label, found.score, found.xmin, found.ymin, found.xmax, found.ymax]


def headers(identity: ModelIdentity) -> dict[str, str]:
    """Return the headers of every answer: the model's version, and its classes as ASCII JSON.

    The classes are left out when their list is too long for a header.
    """
    classes = json.dumps(list(identity.classes))
    shown = {CLASSES_HEADER: classes} if len(classes) <= _LONGEST_HEADER else {}
    return shown | {VERSION_HEADER: identity.version}
