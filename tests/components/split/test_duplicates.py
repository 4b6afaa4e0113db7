"""Near-duplicates: candidates without comparing all pairs, confirmed on thumbnails."""

import tracemalloc
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from components.shared.hashing import hash64
from components.shared.shards import ShardWriter
from components.split.components import Components
from components.split.duplicates import near_duplicates, near_pairs
from components.split.fingerprints import fingerprint_shards, gray_thumbnail, perceptual_hash
from components.split.similarity import SAME, similarity


def alike(folder: Path, names: list[str]) -> set[frozenset[str]]:
    """Return the sets of two or more images that are near-duplicates."""
    keys = np.array([hash64(name) for name in names], np.uint64)
    found = near_duplicates(keys, fingerprint_shards(folder, workers=1), distance=8)
    sets: dict[int, set[str]] = {}
    for name, label in zip(names, found.labels.tolist(), strict=True):
        sets.setdefault(label, set()).add(name)
    return {frozenset(one) for one in sets.values() if len(one) > 1}


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 12))
def test_near_pairs_are_those_of_comparing_all_pairs_each_once(
    data: st.DataObject, distance: int
) -> None:
    words = st.integers(0, 2**64 - 1)
    hashes = data.draw(st.lists(words, min_size=1, max_size=12))
    flips = st.sets(st.integers(0, 63), max_size=16)
    for bits in data.draw(st.lists(flips, max_size=12)):
        hashes.append(hashes[0] ^ sum(1 << bit for bit in bits))
    values = np.array(hashes, np.uint64)

    found = [
        (min(a, b), max(a, b))
        for left, right in near_pairs(values, distance)
        for a, b in zip(left.tolist(), right.tolist(), strict=True)
    ]

    expected = [
        (a, b)
        for a, b in combinations(range(len(hashes)), 2)
        if (hashes[a] ^ hashes[b]).bit_count() <= distance
    ]
    assert sorted(found) == expected


@pytest.mark.slow
def test_pairs_among_many_hashes_are_found_without_comparing_all() -> None:
    """All pairs would be five thousand million comparisons, and a table of 40 GB."""
    hashes, planted = 100_000, 1_000
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**64, hashes, np.uint64)
    for index in range(planted):
        flipped = rng.choice(64, 8, replace=False).astype(np.uint64)
        values[2 * index + 1] = values[2 * index] ^ np.bitwise_or.reduce(np.uint64(1) << flipped)

    tracemalloc.start()
    try:
        found = {
            (min(a, b), max(a, b))
            for left, right in near_pairs(values, 8)
            for a, b in zip(left.tolist(), right.tolist(), strict=True)
        }
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert {(2 * index, 2 * index + 1) for index in range(planted)} <= found
    assert len(found) < planted + 10  # random hashes are hardly ever so alike
    assert peak < 60 * hashes  # bytes: a few arrays of eight bytes a hash


def test_components_join_through_others() -> None:
    parts = Components(6)
    parts.join(np.array([0, 4]), np.array([1, 5]))
    parts.join(np.array([5]), np.array([1]))
    assert len(parts) == 3
    assert len({int(parts.labels[row]) for row in (0, 1, 4, 5)}) == 1
    assert sorted(parts.sizes().tolist()) == [1, 1, 4]
    assert [int(parts.labels[row]) for row in parts.first_rows()] == [0, 1, 2]
    assert sorted(parts.first_rows().tolist()) == [0, 2, 3]
    parts.join_equal(np.array(["x", "y", "x", "z", "w", "v"]))
    assert sorted(parts.sizes().tolist()) == [1, 5]


def brighter(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.2)


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda image: image, {"format": "JPEG", "quality": 40}),
        (lambda image: image.resize((96, 96)), {"format": "PNG"}),
        (lambda image: image.resize((300, 300)), {"format": "JPEG"}),
        (lambda image: image.crop((3, 3, 189, 189)), {"format": "JPEG"}),
        (brighter, {"format": "PNG"}),
    ],
    ids=["re-encoded", "smaller", "larger", "cropped", "brighter"],
)
def test_a_changed_copy_is_the_same_picture(
    change: Callable[[Image.Image], Image.Image],
    options: dict[str, object],
    photo: Callable[[int], Image.Image],
    encode: Callable[..., bytes],
) -> None:
    form = str(options["format"])
    rest = {key: value for key, value in options.items() if key != "format"}
    for seed in range(5):
        original = gray_thumbnail(encode(photo(seed)))
        copy = gray_thumbnail(encode(change(photo(seed)), form, **rest))
        other = gray_thumbnail(encode(photo(seed + 100)))
        bits = (perceptual_hash(original) ^ perceptual_hash(copy)).bit_count()
        assert bits <= 8
        assert similarity(original[None], copy[None])[0] >= SAME
        assert similarity(original[None], other[None])[0] < 0.6


def test_similarity_is_symmetric_and_blind_to_brightness(
    photo: Callable[[int], Image.Image],
) -> None:
    left, right = (np.asarray(photo(i).convert("L").resize((32, 32))) for i in (1, 2))
    forth, back = similarity(left[None], right[None]), similarity(right[None], left[None])
    np.testing.assert_allclose(forth, back, atol=1e-6)
    dim = (left * 0.5 + 40).astype(np.uint8)
    assert similarity(left[None], dim[None])[0] > 0.99


def test_exif_orientation_is_applied(
    photo: Callable[[int], Image.Image], encode: Callable[..., bytes]
) -> None:
    upright = photo(1)
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise
    stored = gray_thumbnail(encode(turned, "JPEG", quality=95, exif=exif))
    plain = gray_thumbnail(encode(upright))
    assert similarity(stored[None], plain[None])[0] > 0.95


def test_blank_and_unreadable_images_do_not_chain(
    tmp_path: Path, encode: Callable[..., bytes]
) -> None:
    blank = encode(Image.new("RGB", (40, 40), "white"))
    gray = encode(Image.new("RGB", (40, 40), "gray"))
    names = ["blank-1", "blank-2", "gray", "broken-1", "broken-2"]
    with ShardWriter(tmp_path) as writer:
        for name, data in zip(names, (blank, blank, gray, b"?", b"?"), strict=True):
            writer.add(name, data)
    assert alike(tmp_path, names) == {frozenset({"blank-1", "blank-2"})}


@pytest.mark.slow
def test_several_processes_find_the_same(
    tmp_path: Path, photo: Callable[[int], Image.Image], encode: Callable[..., bytes]
) -> None:
    names = [f"{i}" for i in range(6)]
    with ShardWriter(tmp_path, shard_bytes=1) as writer:  # a shard each
        for i, name in enumerate(names):
            writer.add(name, encode(photo(i // 2)))
    parts = list(fingerprint_shards(tmp_path, workers=2))
    alone = list(fingerprint_shards(tmp_path, workers=1))
    assert len(parts) == len(alone) == 6
    for one, other in zip(parts, alone, strict=True):
        np.testing.assert_array_equal(one.hashes, other.hashes)
        np.testing.assert_array_equal(one.keys, other.keys)


@pytest.fixture
def airplanes(shared_data: Path, tmp_path: Path) -> tuple[Path, list[str]]:
    """Some 750 photographs, most of white airplanes on blue sky."""
    files = sorted((shared_data / "openimages-airplanes").glob("*/data/*.jpg"))
    with ShardWriter(tmp_path / "shards") as writer:
        for file in files:
            writer.add(file.stem, file.read_bytes())
    return tmp_path / "shards", [file.stem for file in files]


def test_look_alike_photographs_hardly_join_and_never_chain(
    airplanes: tuple[Path, list[str]],
) -> None:
    found = alike(*airplanes)
    # Two pairs of different airplanes in the same pose are taken for copies; no set grows.
    assert len(found) <= 2
    assert all(len(one) == 2 for one in found)


def test_neighbouring_bins_are_found(shared_data: Path, tmp_path: Path) -> None:
    wanted = ["00489", "00490", "00345", "00346", "00844", "00845", "00001", "00500", "01000"]
    with ShardWriter(tmp_path) as writer:
        for name in wanted:
            path = shared_data / "aft-vbi-pds" / "bin-images" / f"{name}.jpg"
            writer.add(name, path.read_bytes())
    assert alike(tmp_path, wanted) == {
        frozenset({"00489", "00490"}),
        frozenset({"00345", "00346"}),
        frozenset({"00844", "00845"}),
    }
