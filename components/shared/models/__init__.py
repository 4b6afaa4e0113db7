"""The project's models, by plain names from one factory."""

from components.shared.models.classification import Classifier, Counter, expected_count
from components.shared.models.factory import DETECTORS, Network, create_model
from components.shared.models.weights import load_weights

__all__ = [
    "DETECTORS",
    "Classifier",
    "Counter",
    "Network",
    "create_model",
    "expected_count",
    "load_weights",
]
