"""Reading models of pykan 0.2.8."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from wskan.errors import DataError
from wskan.kan.layer import Layer
from wskan.kan.population import Population
from wskan.kan.spec import ACTIVATIONS, KANSpec

# ``prune_input`` hands on the module where ``KAN()`` takes the name.
MODULES = {torch.nn.SiLU: "silu", torch.nn.Identity: "identity"}


def from_pykan(model: Any) -> Population:
    """A pykan model as a population of one, with the same function: grids, masks and all.

    A model that reads only some of its inputs, or reads them in another order (``prune_input``), becomes a KAN of ``x[:, model.input_id]``; a warning says so.
    To put the edges of a pruned population back into the model: ``for act, layer in zip(model.act_fun, pruned.layers): act.mask.data.copy_(layer.mask[0])``.

    Args:
        model: a ``kan.KAN`` (``MultKAN``) of pykan 0.2.8, on any device; it is copied.

    Raises:
        DataError: it is none, or has what a B-spline KAN (eqs. 1-3) has not: multiplication nodes, symbolic functions in use, affine maps after neurons, or
            another residual activation.
    """
    if missing := [
        name for name in ("width", "width_in", "act_fun", "symbolic_fun", "node_scale") if not hasattr(model, name)
    ]:
        raise DataError(
            f"{type(model).__module__}.{type(model).__name__} is no KAN of pykan 0.2.8 (the model itself, neither a file nor a state_dict): it has no {' and no '.join(missing)}"
        )
    if any(int(count) for width in model.width if isinstance(width, list | tuple) for count in width[1:]):
        raise DataError(f"a KAN with multiplication nodes, width {model.width}, is not a B-spline KAN")
    base = MODULES.get(type(model.base_fun_name), model.base_fun_name)
    if base not in ACTIVATIONS:
        raise DataError(f"base_fun {base!r} is not one of {ACTIVATIONS}")
    for index in range(model.depth):
        if bool((model.symbolic_fun[index].mask != 0).any()):
            raise DataError(f"layer {index} has symbolic functions; keep only its splines")
        scales, biases = (model.node_scale, model.subnode_scale), (model.node_bias, model.subnode_bias)
        if any(bool((s[index] != 1).any()) for s in scales) or any(bool((b[index] != 0).any()) for b in biases):
            raise DataError(f"layer {index} has affine maps after its neurons (affine_trainable); fold them in first")
    spec = KANSpec(
        widths=tuple(int(width) for width in model.width_in),
        grid=int(model.grid),
        degree=int(model.k),
        domain=(float(model.grid_range[0]), float(model.grid_range[1])),
        base=base,
    )
    layers = []
    with torch.no_grad():
        for layer in model.act_fun:
            tensors = {
                "base_weight": layer.scale_base,
                "spline_weight": layer.scale_sp,
                "coef": layer.coef,
                "mask": layer.mask,
                "knots": layer.grid,
            }
            layers.append(
                Layer(**{name: tensor.detach().float().cpu().clone().unsqueeze(0) for name, tensor in tensors.items()})
            )
    inputs = getattr(model, "input_id", torch.arange(spec.widths[0])).tolist()
    if inputs != list(range(spec.widths[0])):
        warnings.warn(
            f"this model reads {len(inputs)} inputs, {inputs[:5]}{' ...' if len(inputs) > 5 else ''}: give its KAN x[:, model.input_id]",
            stacklevel=2,
        )
    return Population(spec, layers)
