"""The predict step: a model's answers for the validation and test images."""

from collections.abc import Iterator
from itertools import batched
from pathlib import Path

from components.predict.config import PredictSection
from components.shared.errors import UserError
from components.shared.inference import ImageError, Predictor
from components.shared.predictions import Prediction, write_predictions
from components.shared.progress import progress
from components.shared.recordio import RecordSet
from components.shared.task import Split
