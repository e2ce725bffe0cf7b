"""Addresses and checksums of the publishers' files, and their download."""

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

# SHA-256 of the decompressed files as published. Other files are used too, but reported. The values of MNIST and of
# K-MNIST's test files match known ones. One file of Fashion-MNIST, compressed again, gives the MD5 above. The other
# three of Fashion-MNIST and the batches of CIFAR-10 come from mirrors and were not compared with anything.
CONTENTS: dict[str, dict[str, str]] = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    "kmnist": {
        "t10k-images-idx3-ubyte": "76fbd229ce87db80dd281af5e6670de4ad0e42fb30a7bd643972994c47c1f42e",
        "t10k-labels-idx1-ubyte": "a11dc742be8e781a40a92f53d6a4957e7b7d36df2faa097659131ebfd8fd60c6",
    },
    "cifar10": {
        "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    },
}


def download(name: str, folder: Path) -> None:
    """Download a data set from its publisher into ``folder``; complete files are kept.

    Raises:
        Exception: pooch's, if there is no network or a checksum differs.
    """
    import pooch

    for file, (address, md5) in SOURCES[name].items():
        fetched = Path(pooch.retrieve(address + file, f"md5:{md5}", fname=file, path=folder, progressbar=True))
        if file.endswith(".tar.gz"):
            with tarfile.open(fetched) as archive:
                for member in archive:
                    if member.isfile() and member.name.endswith(".bin"):
                        member.name = Path(member.name).name  # drop any path that the archive contains
                        archive.extract(member, folder, filter="data")
