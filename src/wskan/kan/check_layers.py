"""Checks of the tensors of a KAN: their types, shapes and values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan.layer import FIELDS, Layer
from wskan.kan.spec import KANSpec

PRECISIONS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LARGEST_KNOT = 1e18  # its square still fits in single precision
ROUNDING = 1e-5  # share of the largest knot by which knots may decrease: the mean of equal knots does


def check_precision_of(layers: Sequence[Layer]) -> None:
    """Raise unless all tensors have one floating-point type; no value is read.

    Knots may be more precise, as in zoos in half precision.

    Raises:
        DataError: the types differ or are not floating point.
    """
    weights = {t.dtype for layer in layers for t in (layer.base_weight, layer.spline_weight, layer.coef, layer.mask)}
    knots = {layer.knots.dtype for layer in layers}
    if len(weights) == 1 and len(knots) == 1 and weights | knots <= set(PRECISIONS):
        return
    named = [sorted(str(dtype).removeprefix("torch.") for dtype in found) for found in (weights, knots)]
    allowed = ", ".join(str(precision).removeprefix("torch.") for precision in PRECISIONS)
    raise DataError(
        f"weights, coefficients and masks must all be of one of {allowed}, "
        f"and so must knots, got {' and '.join(named[0])}, knots {' and '.join(named[1])}; convert them with .to()"
    )


def check_shapes_of(layers: Sequence[Layer], spec: KANSpec) -> None:
    """Raise unless the layers are those of K KANs of a specification.

    Raises:
        ShapeError: a tensor has another shape. The message names it.
    """
    if any(layer.coef.ndim == 0 for layer in layers):
        raise ShapeError(f"coefficients must be [K, in, out, {spec.num_basis}], got a single number")
    size = len(layers[0].coef)
    for index, (layer, edge) in enumerate(zip(layers, itertools.pairwise(spec.widths), strict=True)):
        shapes = {"coef": (*edge, spec.num_basis), "knots": (edge[0], spec.num_knots)}
        for name in FIELDS:
            found, expected = tuple(getattr(layer, name).shape), (size, *shapes.get(name, edge))
            if found != expected and not (name == "knots" and found == (1, 1, spec.num_knots)):
                raise ShapeError(f"layers.{index}.{name} has shape {found}, {spec} needs {expected}")


def check_values_of(layers: Sequence[Layer]) -> None:
    """Raise unless there are KANs and their tensors hold valid numbers. Takes about as long as copying the tensors.

    Raises:
        DataError: a number is not finite, a mask is not 0 or 1, or knots decrease. The message names the tensor.
    """
    if len(layers[0].coef) == 0:
        raise DataError("there are no KANs: the first dimension of every tensor counts them")
    for index, layer in enumerate(layers):
        for name, tensor in vars(layer).items():
            if not bool(tensor.isfinite().all()):
                raise DataError(f"layers.{index}.{name} holds numbers that are not finite")
        if not bool(((layer.mask == 0) | (layer.mask == 1)).all()):
            raise DataError(f"layers.{index}.mask holds values other than 0 and 1")
        check_knots(layer.knots, f"layers.{index}.knots")


def check_knots(knots: Tensor, name: str) -> None:
    """Raise if knots ``[..., T]`` decrease or are too large; they may coincide, as for an input that never changes.

    Raises:
        DataError: the knots are invalid. The message names them.
    """
    largest = float(knots.abs().max())
    if not largest <= LARGEST_KNOT:
        raise DataError(f"{name} are up to {largest:g}, but must not exceed {LARGEST_KNOT:g}")
    if bool((knots.diff(dim=-1) < -ROUNDING * largest).any()):
        raise DataError(f"{name} must not decrease")
