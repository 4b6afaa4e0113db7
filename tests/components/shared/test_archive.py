import gzip
import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import pytest
import torch

from components.shared.archive import CARD, WEIGHTS, ModelCard, read_archive, write_archive
from components.shared.errors import UserError
from components.shared.models import create_model


@pytest.fixture
def card() -> ModelCard:
    return ModelCard(
        name="resnet9",
        task="classify",
        classes=("cat", "dög"),
        outputs=2,
        image_size=32,
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
        nms_threshold=0.5,
        min_score=0.01,
        max_detections=100,
        metrics={"loss": 0.25, "accuracy": 0.9},
        epoch=3,
        seed=1,
        settings={"model": "resnet9", "weights": "none"},
        data={"fingerprint": "ab", "train": 8, "val": 4},
        libraries={"torch": torch.__version__},
    )


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = create_model("resnet9", "classify", outputs=2, image_size=32)
    return dict(network.state_dict())


def repack(path: Path, files: dict[str, bytes], extra: tarfile.TarInfo | None = None) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        if extra is not None:
            tar.addfile(extra)


def unpack(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_comes_back_as_it_was(
    tmp_path: Path, card: ModelCard, weights: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "model.tar.gz"
    sha256 = write_archive(path, card, weights, "# readme")
    archive = read_archive(path)
    assert archive.card == card
    assert archive.weights.keys() == weights.keys()
    assert all(torch.equal(archive.weights[name], value) for name, value in weights.items())
    assert archive.sha256 == sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert archive.identity.version == sha256
    assert archive.identity.classes == ("cat", "dög")
    assert [*tmp_path.iterdir()] == [path]


def test_equal_models_have_equal_bytes(
    tmp_path: Path, card: ModelCard, weights: dict[str, torch.Tensor]
) -> None:
    reordered = dict(reversed(weights.items()))
    first = write_archive(tmp_path / "one.tar.gz", card, weights, "readme")
    second = write_archive(tmp_path / "two.tar.gz", card, reordered, "readme")
    assert first == second
    other = {**weights, "head.bias": weights["head.bias"] + 1e-6}
    assert write_archive(tmp_path / "three.tar.gz", card, other, "readme") != first


def test_nothing_of_who_made_it_is_inside(
    tmp_path: Path, card: ModelCard, weights: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "model.tar.gz"
    write_archive(path, card, weights, "readme")
    with tarfile.open(path) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == ["README.md", CARD, WEIGHTS]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime, m.mode) for m in members} == {
        (0, 0, "", "", 0, 0o644)
    }


def test_weights_that_are_pickles_are_refused(
    tmp_path: Path, card: ModelCard, weights: dict[str, torch.Tensor]
) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "harmed",)

    path = tmp_path / "model.tar.gz"
    write_archive(path, card, weights, "readme")
    repack(path, {**unpack(path), WEIGHTS: pickle.dumps(Attack())})
    with pytest.raises(UserError, match=r"model\.tar\.gz: not a whole model archive"):
        read_archive(path)
    assert not (tmp_path / "harmed").exists()


def test_members_that_lead_elsewhere_are_not_followed(
    tmp_path: Path, card: ModelCard, weights: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "in" / "model.tar.gz"
    write_archive(path, card, weights, "readme")
    files = unpack(path)
    link = tarfile.TarInfo(CARD)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    repack(path, {WEIGHTS: files[WEIGHTS], "../outside": b"x"}, link)
    with pytest.raises(UserError, match=r"model\.json is missing"):
        read_archive(path)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:100] + bytes(50) + data[150:],
        lambda _: b"not an archive",
        lambda _: b"",
        lambda _: gzip.compress(b"no tar"),
    ],
)
def test_damage_is_said(
    tmp_path: Path, card: ModelCard, weights: dict[str, torch.Tensor], damage: object
) -> None:
    path = tmp_path / "model.tar.gz"
    write_archive(path, card, weights, "readme")
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="not a whole model archive"):
        read_archive(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such model archive"):
        read_archive(tmp_path / "model.tar.gz")


def test_a_card_of_another_version_is_explained(
    tmp_path: Path, card: ModelCard, weights: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "model.tar.gz"
    write_archive(path, card, weights, "readme")
    files = unpack(path)
    files[CARD] = files[CARD].replace(b'"image_size"', b'"image_sizes"')
    repack(path, files)
    with pytest.raises(UserError, match="image_size"):
        read_archive(path)
