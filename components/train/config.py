"""Settings of the train step: those of the training engine."""

from components.shared.training.config import TrainSection

__all__ = ["TrainSection"]
