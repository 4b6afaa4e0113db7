"""The choice of images depends on the seed alone."""

import numpy as np

from components.explore.choose import Choice, hashes


def _choose(ids: list[str], categories: list[int], seed: int, number: int, batch: int) -> Choice:
    chosen = Choice(number)
    for start in range(0, len(ids), batch):
        some = ids[start : start + batch]
        codes = np.array(categories[start : start + batch])
        chosen.add(codes, hashes(some, seed), np.array(some, object))
    return chosen


def test_neither_order_nor_batches_matter() -> None:
    ids = [f"{i:03d}" for i in range(200)]
    categories = [i % 3 for i in range(200)]
    first = _choose(ids, categories, 1, 5, 200)
    other = _choose(ids[::-1], categories[::-1], 1, 5, 7)
    for category in range(3):
        assert first.of(category) == other.of(category)
        assert len(set(first.of(category))) == 5
        assert all(int(one) % 3 == category for one in first.of(category))
    assert first.of(0) != _choose(ids, categories, 2, 5, 200).of(0)


def test_few_images_are_all_chosen() -> None:
    assert sorted(_choose(["a", "b"], [0, 0], 0, 9, 9).of()) == ["a", "b"]
    assert _choose(["a"], [0], 0, 9, 9).of(4) == []


def test_an_image_of_several_classes_is_not_the_example_of_all() -> None:
    ids = [f"{i:03d}" for i in range(100) for _ in range(2)]
    chosen = _choose(ids, [0, 1] * 100, 0, 5, 200)
    assert set(chosen.of(0)) != set(chosen.of(1))


def test_every_image_has_the_same_chance() -> None:
    ids = [f"{i}" for i in range(20)]
    drawn = [one for seed in range(500) for one in _choose(ids, [0] * 20, seed, 4, 20).of()]
    counts = np.array([drawn.count(one) for one in ids])
    assert abs(counts - 100).max() < 40  # four standard deviations of a binomial count
