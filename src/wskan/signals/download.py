"""Where the publishers keep their files, with checksums, for users with a network."""

from __future__ import annotations

import tarfile
from pathlib import Path

_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_KMNIST = "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"
_CIFAR = "https://www.cs.toronto.edu/~kriz/"
_TRAIN, _TEST = "train-{}-ubyte.gz", "t10k-{}-ubyte.gz"
_IMAGES, _LABELS = "images-idx3", "labels-idx1"

# data set -> file -> (address, MD5 as published)
SOURCES: dict[str, dict[str, tuple[str, str]]] = {
    "mnist": {
        _TRAIN.format(_IMAGES): (_MNIST, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        _TRAIN.format(_LABELS): (_MNIST, "d53e105ee54ea40749a09fcbcd1e9432"),
        _TEST.format(_IMAGES): (_MNIST, "9fb629c4189551a2d022fa330f9573f3"),
        _TEST.format(_LABELS): (_MNIST, "ec29112dd5afa0611ce80d1b7f02629c"),
    },
    "fashion-mnist": {
        _TRAIN.format(_IMAGES): (_FASHION, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        _TRAIN.format(_LABELS): (_FASHION, "25c81989df183df01b3e8a0aad5dffbe"),
        _TEST.format(_IMAGES): (_FASHION, "bef4ecab320f06d8554ea6380940ec79"),
        _TEST.format(_LABELS): (_FASHION, "bb300cfdad3c16e7a12a480ee83cd310"),
    },
    "kmnist": {
        _TRAIN.format(_IMAGES): (_KMNIST, "bdb82020997e1d708af4cf47b453dcf7"),
        _TRAIN.format(_LABELS): (_KMNIST, "e144d726b3acfaa3e44228e80efcd344"),
        _TEST.format(_IMAGES): (_KMNIST, "5c965bf0a639b31b8f53240b1b52f4d7"),
        _TEST.format(_LABELS): (_KMNIST, "7320c461ea6c1c855c0b718fb2a4b134"),
    },
    "cifar10": {"cifar-10-binary.tar.gz": (_CIFAR, "c32a1d4ab5d03f1284b67883e8d87530")},
}


def download(name: str, folder: Path) -> None:
    """Fetch a data set from its publisher into ``folder``; files that are there and whole are kept.

    Raises:
        Exception: pooch's, where there is no network or a checksum differs.
    """
    import pooch

    for file, (address, md5) in SOURCES[name].items():
        fetched = Path(pooch.retrieve(address + file, f"md5:{md5}", fname=file, path=folder, progressbar=True))
        if file.endswith(".tar.gz"):
            with tarfile.open(fetched) as archive:
                for member in archive:
                    if member.isfile() and member.name.endswith(".bin"):
                        member.name = Path(member.name).name  # flat, whatever path the archive holds
                        archive.extract(member, folder, filter="data")
