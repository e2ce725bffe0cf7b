"""Which numbers the tensors of a KAN may hold."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan.layer import Layer

PRECISIONS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LARGEST_KNOT = 1e18  # whose square single precision still holds
ROUNDING = 1e-5  # of the largest knot, by which knots may fall: means of equal knots do


def check_precision_of(layers: Sequence[Layer]) -> None:
    """Refuse tensors that are not all of one floating-point type; knots may be of a higher one, as in zoos in half precision. Looks at no value.

    Raises:
        DataError: naming the types.
    """
    weights = {t.dtype for layer in layers for t in (layer.base_weight, layer.spline_weight, layer.coef, layer.mask)}
    knots = {layer.knots.dtype for layer in layers}
    if len(weights) == 1 and len(knots) == 1 and weights | knots <= set(PRECISIONS):
        return
    named = [sorted(str(dtype).removeprefix("torch.") for dtype in found) for found in (weights, knots)]
    raise DataError(
        f"weights, coefficients and masks must all be of one of {', '.join(str(p).removeprefix('torch.') for p in PRECISIONS)}, "
        f"and so must knots, got {' and '.join(named[0])}, knots {' and '.join(named[1])}; convert them with .to()"
    )


def check_values_of(layers: Sequence[Layer]) -> None:
    """Refuse no KANs at all, numbers that are not finite, masks other than 0 and 1, and knots out of order. Takes about as long as copying the tensors.

    Raises:
        DataError: naming the tensor.
    """
    if len(layers[0].coef) == 0:
        raise DataError("there are no KANs: the first dimension of every tensor counts them")
    for index, layer in enumerate(layers):
        for name, tensor in vars(layer).items():
            if not bool(tensor.isfinite().all()):
                raise DataError(f"layers.{index}.{name} holds numbers that are not finite")
        if not bool(((layer.mask == 0) | (layer.mask == 1)).all()):
            raise DataError(f"layers.{index}.mask holds something else than 0 and 1")
        check_knots(layer.knots, f"layers.{index}.knots")


def check_knots(knots: Tensor, name: str) -> None:
    """Refuse knots ``[..., T]`` that fall or are out of all bounds. They may coincide: those of an input that never changes do.

    Raises:
        DataError: naming them.
    """
    largest = float(knots.abs().max())
    if not largest <= LARGEST_KNOT:
        raise DataError(f"{name} are up to {largest:g}, at most {LARGEST_KNOT:g} can be computed with")
    if bool((knots.diff(dim=-1) < -ROUNDING * largest).any()):
        raise DataError(f"{name} must not fall: a grid goes from left to right")
