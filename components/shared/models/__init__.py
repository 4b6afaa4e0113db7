"""The project's models, by plain names from one factory."""

from components.shared.models.classification import Classifier, Counter, expected_count
from components.shared.models.factory import Network, create_model
from components.shared.models.weights import load_weights

__all__ = [
    "Classifier",
    "Counter",
    "Network",
    "create_model",
    "expected_count",
    "load_weights",
]
