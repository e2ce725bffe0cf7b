"""The storage of KANs in a zoo: names of splits and tensors, half precision."""

from __future__ import annotations

import dataclasses
import hashlib

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan import Layer
from wskan.signals import Images
from wskan.zoo.recipe import Recipe

SPLITS = ("train", "val", "test")
ORACLE, SCORE = "oracle.", "score."  # prefixes of the oracle's masks and log-scores in a shard


def to_half_precision(layer: Layer) -> Layer:
    """Convert a layer to half precision, except for its knots.

    A coefficient may be beyond the range of half precision. This is about one in millions, of a basis function that
    hardly any sample reaches. A power of two is then moved from the coefficients of that edge to its spline weight,
    which is an exact symmetry.

    Raises:
        DataError: a parameter is still beyond the range.
    """
    excess = layer.coef.abs().amax(-1) / torch.finfo(torch.float16).max
    factor = torch.exp2(excess.clamp_min(1).log2().ceil())
    half = dataclasses.replace(
        layer,
        base_weight=layer.base_weight.half(),
        spline_weight=(layer.spline_weight * factor).half(),
        coef=(layer.coef / factor.unsqueeze(-1)).half(),
        mask=layer.mask.half(),
    )
    if not bool(torch.stack([t.isfinite().all() for t in (half.base_weight, half.spline_weight, half.coef)]).all()):
        raise DataError(
            f"a KAN is beyond the range of half precision (coefficients up to {float(layer.coef.abs().max()):.3g}); "
            "store the zoo in float32"
        )
    return half


def files_of(*splits: Images) -> dict[str, str]:
    """Describe the files of a data set for the manifest.

    Args:
        splits: images of each split.

    Returns:
        ``data_sha256``, one checksum of all files, and ``data_not_as_published``, the names of files with an unknown
        checksum, if any. Empty for data without files.
    """
    checksums = {file: checksum for images in splits for file, checksum in images.checksums.items()}
    if not checksums:
        return {}
    content = "".join(f"{file} {checksum}\n" for file, checksum in sorted(checksums.items()))
    foreign = sorted({file for images in splits for file in images.foreign})
    description = {"data_sha256": hashlib.sha256(content.encode()).hexdigest()}
    return {**description, "data_not_as_published": ", ".join(foreign)} if foreign else description


def pick_images(available: int, count: int, recipe: Recipe) -> Tensor:
    """Choose ``count`` of the available images with the seed of a recipe, ``[count]`` int64.

    Raises:
        DataError: there are too few.
    """
    if count > available:
        raise DataError(
            f"{recipe.dataset} has {available:,} images in a split, the recipe needs {count:,}; lower its counts"
        )
    return torch.randperm(available, generator=torch.Generator().manual_seed(recipe.seed))[:count]
