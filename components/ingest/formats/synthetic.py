"""Drawn scenes with exact labels, for a demo without a download.

Discs, squares and triangles of many colours, sizes and angles, partly over each other, before
textured noise. The layout is drawn first and travels with the record; workers draw pixels.
"""

import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from components.ingest.formats.base import Scan
from components.ingest.records import RawBox, Record
from components.ingest.sources.base import Source
from components.shared.task import Task

CLASSES = ("disc", "square", "triangle")
_CORNERS = {"square": 4, "triangle": 3}
_RADII = (0.085, 0.17)  # smallest and largest circumscribed circle, shares of the edge
_DOMINANT = (0.18, 0.36)  # the same, of the one object to classify
_CLOSENESS = 0.85  # centres are at least this share of both radii apart: little is hidden
_CROWD = 5  # more objects than this are drawn smaller
_CONTRAST = 90.0  # fewest steps between an object's colour and the background's (RGB distance)
_SCALE = 4  # drawn so many times larger, then reduced: smooth edges
_QUALITY = 92


class Shape(NamedTuple):
    """An object: class, centre and radius of its circumscribed circle as shares of the edge."""

    name: str
    x: float
    y: float
    radius: float
    angle: float  # radians
    colour: tuple[int, int, int]


class SyntheticFormat:
    """Scenes of shapes; labels for every task."""

    def scan(self, scan: Scan) -> Sequence[str]:
        """Add a record for each scene, with its layout."""
        settings = scan.section.synthetic
        for index in range(settings.images):
            rng = np.random.default_rng([scan.seed % 2**32, index])
            background = rng.integers(40, 216, 3)
            shapes = _layout(rng, scan.task, index, settings.max_objects, background)
            layout = {
                "size": settings.size,
                "seed": int(rng.integers(2**32)),
                "background": background.tolist(),
                "shapes": shapes,
            }
            scan.catalogue.add(_record(scan.task, index, shapes, json.dumps(layout).encode()))
        return () if scan.task == "count" else CLASSES

    def load(self, source: Source, records: Sequence[Record]) -> Iterator[bytes]:  # noqa: ARG002
        """Yield each record's scene as a JPEG."""
        for record in records:
            layout: dict[str, Any] = json.loads(record.data)
            buffer = io.BytesIO()
            _draw(layout).save(buffer, "JPEG", quality=_QUALITY)
            yield buffer.getvalue()


def _record(task: Task, index: int, shapes: Sequence[Shape], data: bytes) -> Record:
    name = f"scene-{index:06d}"
    return Record(
        image_id=name,
        path=f"synthetic/{name}.jpg",
        label=shapes[0].name if task == "classify" else None,
        count=len(shapes) if task == "count" else None,
        boxes=tuple(_box(shape, f"{name}#object{i}") for i, shape in enumerate(shapes, 1))
        if task == "detect"
        else None,
        data=data,
    )  # fmt: skip


def _layout(
    rng: np.random.Generator, task: Task, index: int, most: int, background: np.ndarray
) -> list[Shape]:
    """Place a scene's shapes: all counts, and all classes to classify, are equally frequent."""
    if task == "classify":
        return [_place(rng, [], CLASSES[index % len(CLASSES)], _DOMINANT, background)]
    number = index % (most + 1) if task == "count" else 1 + index % most
    crowding = min(1.0, math.sqrt(_CROWD / most))
    radii = (_RADII[0] * crowding, _RADII[1] * crowding)
    shapes: list[Shape] = []
    for _ in range(number):
        name = CLASSES[rng.integers(len(CLASSES))]
        shapes.append(_place(rng, shapes, name, radii, background))
    return shapes


def _place(
    rng: np.random.Generator,
    others: Sequence[Shape],
    name: str,
    radii: tuple[float, float],
    background: np.ndarray,
) -> Shape:
    """Find a free place; where there is none for long, a smaller shape fits sooner."""
    shrink = 1.0
    while True:
        radius = rng.uniform(*radii) * shrink
        x, y = rng.uniform(radius, 1 - radius, 2)
        if all(
            math.hypot(x - other.x, y - other.y) >= _CLOSENESS * (radius + other.radius)
            for other in others
        ):
            break
        shrink = max(0.3, shrink * 0.98)
    colour = _colour(rng, background)
    return Shape(name, float(x), float(y), float(radius), float(rng.uniform(0, math.tau)), colour)


def _colour(rng: np.random.Generator, background: np.ndarray) -> tuple[int, int, int]:
    while True:
        red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
        if math.dist((red, green, blue), background.tolist()) >= _CONTRAST:
            return red, green, blue


def _outline(shape: Shape) -> list[tuple[float, float]]:
    """Return the corners of a polygon, as shares of the edge."""
    corners = _CORNERS[shape.name]
    angles = [shape.angle + math.tau * corner / corners for corner in range(corners)]
    return [
        (shape.x + shape.radius * math.cos(angle), shape.y + shape.radius * math.sin(angle))
        for angle in angles
    ]


def _box(shape: Shape, origin: str) -> RawBox:
    """Return the exact box around a shape."""
    if shape.name not in _CORNERS:
        x, y, radius = shape.x, shape.y, shape.radius
        return RawBox(shape.name, x - radius, y - radius, x + radius, y + radius, origin)
    xs, ys = zip(*_outline(shape), strict=True)
    return RawBox(shape.name, min(xs), min(ys), max(xs), max(ys), origin)


def _draw(layout: dict[str, Any]) -> Image.Image:
    size = layout["size"]
    rng = np.random.default_rng(layout["seed"])
    scene = _texture(rng, size, np.array(layout["background"], np.float64))
    edge = size * _SCALE
    canvas = scene.resize((edge, edge), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(canvas)
    for values in layout["shapes"]:
        shape = Shape(*values)
        if shape.name in _CORNERS:
            # Pillow fills up to and including the last pixel: half of one less on each side.
            pen.polygon([(x * edge - 0.5, y * edge - 0.5) for x, y in _outline(shape)],
                        fill=tuple(shape.colour))  # fmt: skip
        else:
            ring = (shape.x - shape.radius, shape.y - shape.radius,
                    shape.x + shape.radius, shape.y + shape.radius)  # fmt: skip
            pen.ellipse([value * edge - 0.5 for value in ring], fill=tuple(shape.colour))
    drawn = np.asarray(canvas.resize((size, size), Image.Resampling.BOX), np.float64)
    grain = rng.normal(0, 8, drawn.shape)  # over the shapes too: no edge is clean
    return Image.fromarray(np.clip(drawn + grain, 0, 255).astype(np.uint8))


def _texture(rng: np.random.Generator, size: int, colour: np.ndarray) -> Image.Image:
    """Return noise of two coarsenesses around a colour."""
    layers = np.zeros((size, size, 3))
    for cells, strength in ((4, 22.0), (16, 14.0)):
        small = rng.normal(0, 1, (cells, cells, 3)) * 32 + 128
        coarse = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8))
        smooth = coarse.resize((size, size), Image.Resampling.BICUBIC)
        layers += (np.asarray(smooth, np.float64) - 128) / 32 * strength
    return Image.fromarray(np.clip(colour + layers, 0, 255).astype(np.uint8))
