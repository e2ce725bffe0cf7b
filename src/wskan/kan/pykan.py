"""Conversion of models of pykan 0.2.8."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from wskan.errors import DataError
from wskan.kan.layer import Layer
from wskan.kan.population import Population
from wskan.kan.spec import ACTIVATIONS, KANSpec

NEEDED = ("width", "width_in", "act_fun", "symbolic_fun", "node_scale")  # attributes that show a pykan model
MODULES = {torch.nn.SiLU: "silu", torch.nn.Identity: "identity"}  # ``prune_input`` replaces the name by the module


def from_pykan(model: Any) -> Population:
    """Convert a pykan model to a population of one with the same function, including grids and masks.

    A model that reads only some of its inputs, or in another order (``prune_input``), becomes a KAN of
    ``x[:, model.input_id]``. A warning says so.

    Args:
        model: a ``kan.KAN`` (``MultKAN``) of pykan 0.2.8 on any device. It is copied.

    Raises:
        DataError: it is not such a model or not a B-spline KAN (paper, eqs. 1-3). It must have no multiplication
            nodes, active symbolic functions, affine maps after neurons or other residual activations.

    Example:
        Convert, prune, and copy the masks back into the model::

            model = kan.KAN(width=[2, 5, 1], grid=5, k=3)
            kans = from_pykan(model)
            pruned = kans.prune(oracle_masks(kans, x))
            for act, layer in zip(model.act_fun, pruned.layers):
                act.mask.data.copy_(layer.mask[0])
    """
    _check_supported(model)
    spec = _spec_of(model)
    inputs = getattr(model, "input_id", torch.arange(spec.widths[0])).tolist()
    if inputs != list(range(spec.widths[0])):
        first = f"{inputs[:5]}{' ...' if len(inputs) > 5 else ''}"
        warnings.warn(
            f"this model reads {len(inputs)} inputs, {first}: call its KAN with x[:, model.input_id]", stacklevel=2
        )
    return Population(spec, [_layer_of(layer) for layer in model.act_fun])


def _check_supported(model: Any) -> None:
    """Raise unless a model computes nothing but a B-spline KAN."""
    if missing := [name for name in NEEDED if not hasattr(model, name)]:
        raise DataError(
            "expected a model of pykan 0.2.8 (kan.KAN, not a file or a state_dict), "
            f"got {type(model).__module__}.{type(model).__name__}, which has no {', '.join(missing)}"
        )
    if any(int(count) for width in model.width if isinstance(width, list | tuple) for count in width[1:]):
        raise DataError(f"a KAN with multiplication nodes, width {model.width}, is not a B-spline KAN")
    if _base_of(model) not in ACTIVATIONS:
        raise DataError(f"base_fun {_base_of(model)!r} is not one of {ACTIVATIONS}")
    for index in range(model.depth):
        if bool((model.symbolic_fun[index].mask != 0).any()):
            raise DataError(f"layer {index} has symbolic functions; keep only its splines")
        scales, biases = (model.node_scale, model.subnode_scale), (model.node_bias, model.subnode_bias)
        if any(bool((s[index] != 1).any()) for s in scales) or any(bool((b[index] != 0).any()) for b in biases):
            raise DataError(f"layer {index} has affine maps after its neurons (affine_trainable); fold them in first")


def _base_of(model: Any) -> Any:
    return MODULES.get(type(model.base_fun_name), model.base_fun_name)


def _spec_of(model: Any) -> KANSpec:
    return KANSpec(
        widths=tuple(int(width) for width in model.width_in),
        grid=int(model.grid),
        degree=int(model.k),
        domain=(float(model.grid_range[0]), float(model.grid_range[1])),
        base=_base_of(model),
    )


def _layer_of(layer: Any) -> Layer:
    """Copy the tensors of a layer (``KANLayer``) to the CPU in single precision."""
    tensors = {
        "base_weight": layer.scale_base,
        "spline_weight": layer.scale_sp,
        "coef": layer.coef,
        "mask": layer.mask,
        "knots": layer.grid,
    }
    return Layer(**{name: tensor.detach().float().cpu().clone().unsqueeze(0) for name, tensor in tensors.items()})
