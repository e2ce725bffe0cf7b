"""Image data sets, read from a folder in their publishers' layouts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from wskan.errors import DataError, reason
from wskan.reading import shown
from wskan.signals.download import CONTENTS, SOURCES, download
from wskan.signals.files import read_cifar, read_idx

Split = Literal["train", "test"]
IMAGE_SETS = ("digits", "mnist", "fashion-mnist", "kmnist", "cifar10")
DIGITS_TEST = 300  # scikit-learn's digits have no split: these are for testing, 1,497 for training
KMNIST_TRAIN = 8_000  # of the 10,000 test images, if the training file is absent


@dataclasses.dataclass(frozen=True)
class Images:
    """The images of one split of a data set.

    Attributes:
        images: ``[N, H, W, C]`` uint8.
        labels: ``[N]`` int64.
        name: name of the data set.
        split: ``"train"`` or ``"test"``.
        note: how this split differs from the publisher's; empty if it does not.
        checksums: SHA-256 of the content of each file that it was read from.
    """

    images: Tensor
    labels: Tensor
    name: str
    split: str
    note: str = ""
    checksums: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def foreign(self) -> list[str]:
        """List the files that differ from the published ones; they are used all the same."""
        published = CONTENTS.get(self.name, {})
        return [file for file, checksum in self.checksums.items() if published.get(file, checksum) != checksum]

    def targets(self, rows: Tensor) -> Tensor:
        """Return the pixel values of some images in [0, 1], ``[n, H*W, C]`` float32.

        They are in the order of :func:`wskan.signals.coordinates`.
        """
        return self.images[rows].flatten(1, 2).float() / 255

    def pixels(self) -> Tensor:
        """Return all images as vectors of values in [0, 1], ``[N, H*W*C]`` float32."""
        return self.images.flatten(1).float() / 255

    def __len__(self) -> int:
        return len(self.images)


def load_images(name: str, split: Split, *, root: Path | str | None = None, fetch: bool = False) -> Images:
    """Load one split of a data set.

    Args:
        name: one of ``IMAGE_SETS``. ``"digits"`` is part of scikit-learn; the others are read from ``root/name``.
        split: ``"train"`` or ``"test"``. If only K-MNIST's test file is present, its first 8,000 images are
            ``"train"`` and the rest ``"test"``, and the note says so.
        root: defaults to the environment variable ``WSKAN_DATA``, else ``~/.cache/wskan``.
        fetch: download missing files from the publisher first.

    Raises:
        DataError: the name is unknown, or a file is missing or damaged.
    """
    if name not in IMAGE_SETS or split not in ("train", "test"):
        raise DataError(
            f"unknown data set {shown(name)} or split {shown(split)}; choose from {IMAGE_SETS} and ('train', 'test')"
        )
    if name == "digits":
        return _digits(split)
    folder = Path(root or os.environ.get("WSKAN_DATA") or Path.home() / ".cache" / "wskan") / name
    if fetch:
        try:
            download(name, folder)
        except Exception as error:
            raise DataError(f"could not download {name} into {folder}: {reason(error)}") from error
    images = _cifar(folder, split) if name == "cifar10" else _idx(name, folder, split)
    if not bool((images.labels < 10).all()):
        raise DataError(f"{folder}: has labels up to {int(images.labels.max())}, expected 0 to 9; get the files again")
    return images


def _digits(split: Split) -> Images:
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    rows = order[DIGITS_TEST:] if split == "train" else order[:DIGITS_TEST]
    images = torch.from_numpy(np.round(digits.images * (255 / 16)).astype(np.uint8))[rows]
    labels = torch.from_numpy(digits.target.astype(np.int64))[rows]
    return Images(images.unsqueeze(-1), labels, "digits", split, "a fixed random split of scikit-learn's 1,797 digits")


def _idx(name: str, folder: Path, split: Split) -> Images:
    part, note, rows = ("train" if split == "train" else "t10k"), "", slice(None)
    if name == "kmnist" and not _exists(folder, "train-images-idx3-ubyte"):
        part, note = (
            "t10k",
            f"K-MNIST's training file is absent: this is part of its test file, split {KMNIST_TRAIN}/2000",
        )
        rows = slice(None, KMNIST_TRAIN) if split == "train" else slice(KMNIST_TRAIN, None)
    files = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
    images, first = read_idx(_find(name, folder, files[0]), (-1, 28, 28))
    labels, second = read_idx(_find(name, folder, files[1]), (-1,))
    if len(images) != len(labels):
        raise DataError(f"{folder}: {len(images):,} {part} images but {len(labels):,} labels; get both files again")
    return Images(
        torch.from_numpy(images[rows].copy()).unsqueeze(-1),
        torch.from_numpy(labels[rows].astype(np.int64)),
        name,
        split,
        note,
        dict(zip(files, (first, second), strict=True)),
    )


def _cifar(folder: Path, split: Split) -> Images:
    files = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
    parts = [read_cifar(_find("cifar10", folder, file)) for file in files]
    images = np.concatenate([image for image, _, _ in parts])
    labels = np.concatenate([label for _, label, _ in parts]).astype(np.int64)
    checksums = {file: checksum for file, (_, _, checksum) in zip(files, parts, strict=True)}
    return Images(torch.from_numpy(images), torch.from_numpy(labels), "cifar10", split, "", checksums)


def _exists(folder: Path, file: str) -> bool:
    return (folder / f"{file}.gz").exists() or (folder / file).exists()


def _find(name: str, folder: Path, file: str) -> Path:
    for path in (folder / f"{file}.gz", folder / file):
        if path.exists():
            return path
    addresses = sorted({address for address, _ in SOURCES[name].values()})
    raise DataError(
        f"{name}: no file {file} (or {file}.gz) in {folder}; set WSKAN_DATA to the folder that holds {name}/, "
        f"or get the files from {addresses[0]}, or pass fetch=True (--fetch) to download them"
    )
