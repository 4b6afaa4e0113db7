"""The README of a model archive: what the model is, for whoever opens the file."""

from components.shared.archive import ModelCard

_ANSWERS = {
    "classify": "a probability for each class",
    "count": "a probability for each count from 0 to {most}, and their mean, the expected count",
    "detect": "boxes with class and score, coordinates as shares of the image's edges",
}


def readme(card: ModelCard) -> str:
    """Return the model's card as Markdown."""
    answers = _ANSWERS[card.task].format(most=card.outputs - 1)
    classes = f"\nClasses, in order: {', '.join(card.classes)}.\n" if card.classes else ""
    metrics = "".join(f"| {name} | {value:.4f} |\n" for name, value in card.metrics.items())
    mirrored = (
        f" Answers are means over the image and its {' and '.join(card.mirrored)} mirror images."
        if card.mirrored
        else ""
    )
    libraries = ", ".join(f"{name} {number}" for name, number in card.libraries.items())
    return f"""# {card.name}, task {card.task}

Answers with {answers}.
{classes}
## Use

`model.json` says how to build the model, `weights.safetensors` holds its weights.

    from components.shared.inference import Predictor
    Predictor.load(Path("model.tar.gz")).predict([image_bytes])

An image is decoded to RGB with its EXIF orientation applied, resized to
{card.image_size}x{card.image_size} pixels (bilinear, antialiased, aspect ratio not kept), and
normalized with mean {list(card.mean)} and standard deviation {list(card.std)} of values in
[0, 1].{mirrored}

## How good it is

On {card.data["val"]:,} validation images, which also chose epoch {card.epoch}; the evaluation on
test images is in the evaluate step's report.

| metric | value |
|---|---|
{metrics}
## How it was made

Trained on {card.data["train"]:,} images (data fingerprint `{card.data["fingerprint"]}`) from
weights `{card.settings["weights"]}`, with seed {card.seed}. All settings are in `model.json`.
{libraries}.
"""
