"""How a zoo stores KANs: names of splits and tensors, half precision."""

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
ORACLE, SCORE = "oracle.", "score."  # prefixes of the oracle's masks and of the logarithms of its scores in a shard


def to_half_precision(layer: Layer) -> Layer:
    """In half precision. Where a coefficient is beyond its range (one in millions, of a function that hardly any sample reaches), a power of two goes over to the spline
    weight of that edge, which is an exact symmetry.
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
            f"a KAN is beyond the range of half precision (coefficients up to {float(layer.coef.abs().max()):.3g}); store the zoo in float32"
        )
    return half


def files_of(*splits: Images) -> dict[str, str]:
    """Name the content of all files of a data set by one SHA-256, and those that are not as published; nothing for data that needs no files."""
    checksums = {file: checksum for images in splits for file, checksum in images.checksums.items()}
    if not checksums:
        return {}
    content = "".join(f"{file} {checksum}\n" for file, checksum in sorted(checksums.items()))
    foreign = sorted({file for images in splits for file in images.foreign})
    facts = {"data_sha256": hashlib.sha256(content.encode()).hexdigest()}
    return facts if not foreign else {**facts, "data_not_as_published": ", ".join(foreign)}


def pick_images(available: int, count: int, recipe: Recipe) -> Tensor:
    if count > available:
        raise DataError(
            f"{recipe.dataset} has {available:,} images of a split, the recipe wants {count:,}; lower its counts"
        )
    return torch.randperm(available, generator=torch.Generator().manual_seed(recipe.seed))[:count]
