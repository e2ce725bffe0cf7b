import gzip
import os
import resource
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from wskan.errors import DataError
from wskan.signals import coordinates, load_images, psnr, sine_waves
from wskan.signals.download import CONTENTS, SOURCES


def write_idx(path: Path, array: np.ndarray) -> None:
    data = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write_mnist(
    root: Path, part: str, count: int, suffix: str = ".gz", name: str = "mnist"
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = random.integers(0, 10, count, dtype=np.uint8)
    write_idx(root / name / f"{part}-images-idx3-ubyte{suffix}", images)
    write_idx(root / name / f"{part}-labels-idx1-ubyte{suffix}", labels)
    return images, labels


@pytest.mark.parametrize("suffix", [".gz", ""])
def test_idx_files(tmp_path: Path, suffix: str) -> None:
    images, labels = write_mnist(tmp_path, "train", 7, suffix)
    loaded = load_images("mnist", "train", root=tmp_path)
    assert loaded.images.shape == (7, 28, 28, 1)
    np.testing.assert_array_equal(loaded.images[..., 0].numpy(), images)
    np.testing.assert_array_equal(loaded.labels.numpy(), labels)
    targets = loaded.targets(torch.tensor([3]))
    assert targets.shape == (1, 784, 1)
    assert targets[0, 28, 0] == np.float32(images[3, 1, 0]) / np.float32(255)


def test_the_root_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path, "t10k", 3)
    monkeypatch.setenv("WSKAN_DATA", str(tmp_path))
    assert len(load_images("mnist", "test")) == 3


def test_kmnist_without_its_training_file_is_split_and_says_so(tmp_path: Path) -> None:
    write_mnist(tmp_path, "t10k", 8_020, name="kmnist")
    train, test = (load_images("kmnist", split, root=tmp_path) for split in ("train", "test"))
    assert (len(train), len(test)) == (8_000, 20)
    assert "8000/2000" in train.note
    write_mnist(tmp_path, "train", 5, name="kmnist")
    assert len(load_images("kmnist", "train", root=tmp_path)) == 5


def test_cifar(tmp_path: Path) -> None:
    folder = tmp_path / "cifar10"
    folder.mkdir()
    records = np.random.default_rng(0).integers(0, 10, (100, 3073), dtype=np.uint8)
    records[0, 1] = 200  # red of the first pixel
    for file in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        (folder / file).write_bytes(records.tobytes())
    train = load_images("cifar10", "train", root=tmp_path)
    assert train.images.shape == (500, 32, 32, 3)
    assert train.images[0, 0, 0, 0] == 200
    assert len(load_images("cifar10", "test", root=tmp_path)) == 100
    (folder / "test_batch.bin").write_bytes(records.tobytes()[:-1])
    with pytest.raises(DataError, match="test_batch"):
        load_images("cifar10", "test", root=tmp_path)
    (folder / "test_batch.bin").write_bytes(records[:1].tobytes())
    with pytest.raises(DataError, match="3,073 bytes are not 100 to 10,000 records"):
        load_images("cifar10", "test", root=tmp_path)


def test_digits_split() -> None:
    train, test = load_images("digits", "train"), load_images("digits", "test")
    assert (len(train), len(test)) == (1_497, 300)
    assert train.images.shape == (1_497, 8, 8, 1)
    assert train.images.max() == 255


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.*WSKAN_DATA"):
        load_images("mnist", "train", root=tmp_path)
    write_mnist(tmp_path, "train", 7)
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for damaged in (
        whole[:-40],
        b"",
        b"not gzip",
        gzip.compress(b"\0\0\x08\x01\0\0\0\1x"),
        gzip.compress(gzip.decompress(whole) + b"x"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="train-images"):
            load_images("mnist", "train", root=tmp_path)
    path.write_bytes(whole)
    write_idx(tmp_path / "mnist" / "train-labels-idx1-ubyte.gz", np.zeros(6, np.uint8))
    with pytest.raises(DataError, match="7 train images but 6 labels"):
        load_images("mnist", "train", root=tmp_path)
    write_idx(tmp_path / "mnist" / "train-labels-idx1-ubyte.gz", np.full(7, 99, np.uint8))
    with pytest.raises(DataError, match="labels up to 99"):
        load_images("mnist", "train", root=tmp_path)
    with pytest.raises(DataError, match="unknown data set"):
        load_images("imagenet", "train")


def test_a_small_file_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 28, 28)))
    with pytest.raises(DataError, match="dimensions"):
        load_images("mnist", "train", root=tmp_path)


def inflates_to(path: Path, size: int, begin: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(begin)
        for _ in range(size // 2**20):
            file.write(bytes(2**20))


def test_zeros_without_end_behind_a_small_file_take_no_memory(tmp_path: Path) -> None:
    begin = b"\0\0\x08\x03" + struct.pack(">3I", 100_000, 28, 28)
    inflates_to(tmp_path / "mnist" / "train-images-idx3-ubyte.gz", 2**29, begin)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="decompresses to more than 78,400,016 bytes"):
        load_images("mnist", "train", root=tmp_path)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 2 * 78_400_016 + 2**24


def test_more_images_than_any_such_file_has_are_refused(tmp_path: Path) -> None:
    begin = b"\0\0\x08\x03" + struct.pack(">3I", 1_000_000, 28, 28)
    for path in (tmp_path / "mnist" / "train-images-idx3-ubyte", tmp_path / "kmnist" / "train-images-idx3-ubyte"):
        path.parent.mkdir()
        path.write_bytes(begin)
        with path.open("rb+") as file:
            file.truncate(2**20 if "kmnist" in str(path) else 16 + 784 * 1_000_000)
        with pytest.raises(DataError, match=r"more than 78,400,016 bytes|expected"):
            load_images(path.parent.name, "train", root=tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mnist" / "train-images-idx3-ubyte"
    path.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="is not a regular file"):
        load_images("mnist", "train", root=tmp_path)


def test_files_that_are_not_as_published_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path, "train", 7)
    loaded = load_images("mnist", "train", root=tmp_path)
    assert loaded.foreign == ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]
    write_mnist(tmp_path, "train", 7, suffix="")
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").unlink()
    assert load_images("mnist", "train", root=tmp_path).checksums == loaded.checksums, "compressed or not"
    monkeypatch.setitem(CONTENTS, "mnist", dict(loaded.checksums))
    assert load_images("mnist", "train", root=tmp_path).foreign == []
    assert load_images("digits", "train").foreign == []


def test_every_file_with_a_known_checksum_is_one_of_the_publishers() -> None:
    for name, files in CONTENTS.items():
        assert all(len(checksum) == 64 for checksum in files.values())
        if name != "cifar10":
            assert {f"{file}.gz" for file in files} <= set(SOURCES[name])


def test_coordinates() -> None:
    grid = coordinates(2, 3)
    assert grid.tolist() == [[-1, -1], [-1, 0], [-1, 1], [1, -1], [1, 0], [1, 1]]


def test_waves() -> None:
    waves = sine_waves(50, 0)
    assert torch.equal(sine_waves(20, 0).frequencies, waves.frequencies[:20])
    assert waves.frequencies.min() >= 0.5
    assert waves.frequencies.max() <= 10
    values = waves.targets(torch.tensor([4]))
    assert values.shape == (1, 64 * 64, 1)
    torch.testing.assert_close(values[0, -1, 0], waves.frequencies[4].sum().sin())


def test_psnr() -> None:
    torch.testing.assert_close(psnr(torch.tensor([0.01, 1e-4])), torch.tensor([20.0, 40.0]))
    torch.testing.assert_close(psnr(torch.tensor(0.04), peak=2.0), torch.tensor(20.0))
