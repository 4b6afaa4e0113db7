"""The predict step: a model's answers for the validation and test images."""

from collections.abc import Iterator
from pathlib import Path

from components.predict.config import PredictSection
from components.shared.errors import UserError
from components.shared.inference import ImageError, Predictor
from components.shared.predictions import Prediction, write_predictions
from components.shared.progress import progress
from components.shared.recordio import RecordSet
from components.shared.task import Split

# Thresholds are chosen on val, figures come from test; nothing asks about train.
_SPLITS: tuple[Split, ...] = ("val", "test")

Row = tuple[str, Split, Prediction]


def predict(section: PredictSection, model: Path, records: Path, predictions: Path) -> None:
    """Run a model over the validation and test images.

    Args:
        section: how many images at once.
        model: the archive that the train step wrote.
        records: folder of RecordIO files.
        predictions: the predictions table to write, images in record order.

    Raises:
        UserError: if the archive is not whole, or model and records are of different tasks or
            classes.
    """
    data = RecordSet(records)
    predictor = Predictor.load(model)
    identity = predictor.identity
    if (identity.task, identity.classes) != (data.task, data.classes):
        raise UserError(
            f"{model}: serves task '{identity.task}' with {len(identity.classes)} classes, but "
            f"{records} holds task '{data.task}' with {len(data.classes)}, or other names; "
            "train a model on these records"
        )
    rows = [
        row for split in _SPLITS for row in _answers(predictor, data, split, section.batch_size)
    ]
    write_predictions(predictions, rows, identity)
    counts = ", ".join(f"{split} {data.counts.get(split, 0):,}" for split in _SPLITS)
    print(f"predicted {counts} images with {identity.name} {identity.version[:12]}")


def _answers(predictor: Predictor, data: RecordSet, split: Split, batch_size: int) -> Iterator[Row]:
    if not data.counts.get(split):
        return
    reader, ids = data.reader(split), data.ids(split)
    batches = range(0, len(reader), batch_size)
    for start in progress(batches, len(batches), f"predicting {split}, batches"):
        indices = range(start, min(start + batch_size, len(reader)))
        try:
            found = predictor.predict([reader[index].image for index in indices])
        except ImageError as error:
            name = ids[indices[error.index]]
            raise UserError(f"{split} image {name}: {error.reason}; run ingest again") from None
        yield from ((ids[index], split, one) for index, one in zip(indices, found, strict=True))
