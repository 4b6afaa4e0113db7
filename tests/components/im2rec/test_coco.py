"""COCO JSON, read by pycocotools."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from components.shared.recordio import RecordSet, detection_boxes
from components.shared.table import read_info
from components.shared.task import SPLITS, Split
from tests.components.im2rec.support import (
    COUNT,
    DETECT,
    TURNED,
    Dataset,
    RealRows,
    boxes,
    decoded,
    run,
)


def opened(records: Path, split: Split) -> COCO:
    return COCO(str(records / f"{split}.coco.json"))


@pytest.mark.parametrize(
    "settings", [{}, {"resize": 100}, {"resize_to": [50, 70], "fit": "exact", "enlarge": True}]
)
def test_boxes_in_pixels_are_those_of_the_records(
    dataset: Dataset, real_rows: RealRows, settings: dict[str, object]
) -> None:
    folder = dataset("detect", real_rows("detect"))
    records = run(folder, "detect", **settings)
    for split in SPLITS:
        coco, reader = opened(records, split), RecordSet(records).reader(split)
        names = [image["file_name"] for image in coco.loadImgs(range(len(reader)))]
        assert names == [f"{name}.jpg" for name in RecordSet(records).ids(split)]
        assert sorted(coco.imgs) == list(range(len(reader)))
        for index in range(len(reader)):
            height, width = decoded(reader[index].image).shape[:2]
            assert (coco.imgs[index]["width"], coco.imgs[index]["height"]) == (width, height)
            expected = detection_boxes(reader[index].label)
            found = coco.loadAnns(coco.getAnnIds(imgIds=[index]))
            assert [one["category_id"] - 1 for one in found] == expected[:, 0].tolist()
            corners = np.array([one["bbox"] for one in found]).reshape(-1, 4)
            corners[:, 2:] += corners[:, :2]
            scale = [width, height, width, height]
            np.testing.assert_allclose(corners, expected[:, 1:] * scale, atol=0.002)
            areas = [one["bbox"][2] * one["bbox"][3] for one in found]
            np.testing.assert_allclose([one["area"] for one in found], areas, rtol=0.01)


def test_categories_are_the_classes(dataset: Dataset) -> None:
    folder = dataset("detect", DETECT)
    coco = opened(run(folder, "detect"), "train")
    names = [one["name"] for one in coco.loadCats(coco.getCatIds())]
    assert names == list(read_info(folder / "table").classes)
    assert min(coco.anns) == 1, "evaluators take 0 for none"


def test_an_evaluation_of_the_truth_against_itself_is_perfect(
    dataset: Dataset, real_rows: RealRows
) -> None:
    records = run(dataset("detect", real_rows("detect")), "detect")
    truth = opened(records, "test")
    keys = ("image_id", "category_id", "bbox")
    found = [{**{key: one[key] for key in keys}, "score": 1.0} for one in truth.anns.values()]
    evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_an_image_is_upright_as_its_boxes_are(dataset: Dataset) -> None:
    whole = boxes((0, 0, 0, 1, 1))
    rows = [{"image_id": "t", "split": "train", "boxes": whole, "image": TURNED}, *DETECT[1:]]
    coco = opened(run(dataset("detect", rows), "detect"), "train")
    assert (coco.imgs[0]["width"], coco.imgs[0]["height"]) == (40, 60)
    assert coco.anns[1]["bbox"] == [0, 0, 40, 60]


def test_a_split_without_boxes_is_valid(dataset: Dataset) -> None:
    records = run(dataset("detect", DETECT), "detect")
    assert json.loads((records / "test.coco.json").read_text())["annotations"] == []
    assert opened(records, "test").imgs.keys() == {0}


def test_only_detection_has_it_and_only_when_asked_for(dataset: Dataset) -> None:
    assert not list(run(dataset("count", COUNT), "count").glob("*.coco.json"))
    assert not list(run(dataset("detect", DETECT), "detect", coco=False).glob("*.coco.json"))
