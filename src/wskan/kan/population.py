"""K KANs of one specification as stacked tensors."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan.check_layers import check_precision_of, check_shapes_of, check_values_of
from wskan.kan.layer import FIELDS, Layer
from wskan.kan.permutation import Permutation
from wskan.kan.spec import KANSpec
from wskan.reading import shown


class Population:
    """K KANs of one :class:`KANSpec`; K = 1 is a single KAN.

    Args:
        spec: their common architecture.
        layers: one :class:`Layer` for each layer.

    Raises:
        ShapeError: a tensor does not fit the specification.
        DataError: the tensors are not all of one floating-point type.

    Example:
        >>> import torch
        >>> from wskan.kan import KANSpec, Population
        >>> kans = Population.init(KANSpec(widths=(2, 3, 1)), seeds=[0, 1, 2])
        >>> kans
        Population(3 KANs [2, 3, 1], bspline, G=5, k=3)
        >>> kans(torch.zeros(10, 2)).shape  # every KAN at the same 10 points
        torch.Size([3, 10, 1])
        >>> kans.layers[0].coef.shape  # [K, in, out, C]
        torch.Size([3, 2, 3, 8])
    """

    def __init__(self, spec: KANSpec, layers: Sequence[Layer]) -> None:
        self.spec = spec
        self.layers = tuple(layers)
        if len(self.layers) != spec.num_layers:
            raise ShapeError(f"{spec.widths} has {spec.num_layers} layers, got {len(self.layers)}")
        check_precision_of(self.layers)
        check_shapes_of(self.layers, spec)

    @classmethod
    def init(cls, spec: KANSpec, seeds: Sequence[int] | Tensor, *, noise_scale: float | None = None) -> Population:
        """Initialise KANs. Base weights are uniform in +-1/sqrt(in); the basis determines the rest.

        B-spline KANs are initialised as in pykan 0.2.8, with the random numbers that its ``KAN(..., seed=s)`` draws.
        The splines interpolate noise in [-noise_scale/2G, noise_scale/2G] at the grid points, with minimum-norm
        coefficients. Their spline weights are 1/sqrt(in). No KAN depends on the others.

        Args:
            spec: their architecture.
            seeds: one per KAN.
            noise_scale: scale of the coefficients; by default that of the basis, 0.3 for B-splines, 0.1 for FastKAN.
        """
        functions = spec.basis_functions
        scale = functions.noise_scale if noise_scale is None else noise_scale
        generators = [torch.Generator().manual_seed(int(seed) % 2**63) for seed in seeds]
        pairs = itertools.pairwise(spec.widths)
        return cls(spec, [Layer.init(functions, n_in, n_out, generators, scale) for n_in, n_out in pairs])

    @classmethod
    def cat(cls, populations: Sequence[Population]) -> Population:
        """Join several populations of one specification.

        Raises:
            ShapeError: the specifications differ.
        """
        spec = populations[0].spec
        if any(population.spec != spec for population in populations):
            raise ShapeError(f"cannot join KANs of different specifications: {[p.spec.widths for p in populations]}")
        shared = all(population.uniform_grid for population in populations)
        if not shared:
            populations = [population.expand_knots() for population in populations]
        layers = [[population.layers[index] for population in populations] for index in range(spec.num_layers)]
        return cls(spec, [_cat_layers(each, shared_knots=shared) for each in layers])

    @classmethod
    def from_tensors(cls, spec: KANSpec, tensors: Mapping[str, Tensor], *, check_values: bool = True) -> Population:
        """Build a population from named tensors, the inverse of :meth:`tensors`.

        Absent masks are all ones. Absent knots are the uniform grid of the specification.

        Args:
            spec: the architecture.
            tensors: tensors by name.
            check_values: check every number. Without it, tensors that are mapped from a file are not read.

        Raises:
            DataError: a key is missing or unknown, the types do not match, there are no KANs, a number is not finite,
                a mask is not 0 or 1, or knots decrease.
            ShapeError: a tensor has another shape.
        """
        known = {f"layers.{index}.{name}" for index in range(spec.num_layers) for name in FIELDS}
        if not set(tensors) <= known:
            raise DataError(f"unknown tensors {shown(sorted(set(tensors) - known)[:5])} for {spec}")
        layers = []
        for index in range(spec.num_layers):
            fields = {name: tensors[key] for name in FIELDS if (key := f"layers.{index}.{name}") in tensors}
            if missing := {"base_weight", "spline_weight", "coef"} - set(fields):
                raise DataError(f"layer {index} lacks {sorted(missing)}")
            like = fields["base_weight"]
            fields.setdefault("mask", torch.ones_like(like))
            if "knots" not in fields:
                fields["knots"] = spec.basis_functions.knots().to(like).expand(1, 1, -1)
            layers.append(Layer(**fields))
        population = cls(spec, layers)
        if check_values:
            check_values_of(population.layers)
        return population

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by name, ``layers.{l}.{field}``, each ``[K, ...]``.

        Shared uniform knots and masks that are all ones are left out.
        """
        tensors = {f"layers.{i}.{name}": getattr(layer, name) for i, layer in enumerate(self.layers) for name in FIELDS}
        if self.uniform_grid:
            tensors = {key: value for key, value in tensors.items() if not key.endswith("knots")}
        return {key: t for key, t in tensors.items() if not (key.endswith("mask") and bool((t == 1).all()))}

    @property
    def uniform_grid(self) -> bool:
        """Return whether every KAN still has the specification's uniform grid, stored once."""
        return self.layers[0].shared_knots and all(layer.knots.shape[:2] == (1, 1) for layer in self.layers)

    def expand_knots(self) -> Population:
        """Return the same KANs with separate knots ``[K, in, T]``."""
        layers = [
            dataclasses.replace(layer, knots=layer.knots.expand(*layer.coef.shape[:2], -1).contiguous())
            for layer in self.layers
        ]
        return Population(self.spec, layers)

    def permute(self, permutation: Permutation) -> Population:
        """Reorder the hidden neurons, which leaves every function unchanged (paper, Proposition 3.1).

        Args:
            permutation: one of size K, or of size 1 for all KANs.

        Raises:
            ShapeError: it is for other KANs.
        """
        permutation.check(self.spec.widths, len(self))
        layers = []
        for index, layer in enumerate(self.layers):
            fields = {name: permutation.edge_block(getattr(layer, name), index) for name in FIELDS if name != "knots"}
            knots = layer.knots if layer.shared_knots else permutation.node_block(layer.knots, index)
            layers.append(Layer(**fields, knots=knots))
        return Population(self.spec, layers)

    def connected_outputs(self) -> Tensor:
        """Find the outputs that a path of edges joins to an input, ``[K, out]`` bool. The others are constant."""
        edges = [layer.mask != 0 for layer in self.layers]
        connected = torch.ones_like(edges[0][:, :, 0])
        for layer in edges:
            connected = (connected.unsqueeze(-1) & layer).any(1)
        return connected

    def prune(self, masks: Sequence[Tensor]) -> Population:
        """Remove the edges that a mask leaves out; pruned edges stay pruned.

        Args:
            masks: ``[K, n_l, n_{l+1}]`` per layer, 0 (or False) for an edge to remove.

        Raises:
            ShapeError: the masks have another shape.
            DataError: a mask contains NaN.
        """
        shapes = [tuple(layer.mask.shape) for layer in self.layers]
        if [tuple(mask.shape) for mask in masks] != shapes:
            raise ShapeError(f"masks have shapes {[tuple(mask.shape) for mask in masks]}, these KANs need {shapes}")
        if any(bool(mask.isnan().any()) for mask in masks):
            raise DataError("masks must not contain NaN: give 1 for an edge to keep and 0 for one to prune")
        layers = [
            dataclasses.replace(layer, mask=layer.mask * (mask != 0).to(layer.mask.device))
            for layer, mask in zip(self.layers, masks, strict=True)
        ]
        return Population(self.spec, layers)

    def to(self, target: torch.device | torch.dtype | str) -> Population:
        """Move the population to another device or convert it to another floating-point dtype."""
        return Population(self.spec, [layer.map(lambda tensor: tensor.to(target)) for layer in self.layers])

    def is_finite(self) -> Tensor:
        """Find the KANs whose parameters are all finite, ``[K]`` bool."""
        finite = torch.ones(len(self), dtype=torch.bool, device=self.layers[0].coef.device)
        for layer in self.layers:
            for name in FIELDS:
                finite &= getattr(layer, name).isfinite().flatten(1).all(1)
        return finite

    def check_finite(self) -> None:
        """Raise unless all parameters are finite.

        Raises:
            DataError: they are not. The message lists the first such KANs.
        """
        if not bool((finite := self.is_finite()).all()):
            bad = (~finite).nonzero().squeeze(1).tolist()
            raise DataError(f"{len(bad)} of {len(self)} KANs have parameters that are not finite: {bad[:5]}")

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluate every KAN (paper, eqs. 1-3).

        Args:
            x: ``[B, in]`` or ``[1, B, in]`` for all KANs, or ``[K, B, in]``.

        Returns:
            ``[K, B, out]``, computed in the precision of the KANs.

        Raises:
            ShapeError: x has another shape.
        """
        shape = tuple(x.shape)
        x = x.unsqueeze(0) if x.ndim == 2 else x
        if x.ndim != 3 or x.shape[0] not in (1, len(self)) or x.shape[2] != self.spec.widths[0]:
            raise ShapeError(
                f"x has shape {shape}, need [B, {self.spec.widths[0]}] or [{len(self)}, B, {self.spec.widths[0]}]"
            )
        x = x.to(self.layers[0].coef.dtype).expand(len(self), -1, -1)
        for layer in self.layers:
            x = layer(x, self.spec)
        return x

    def __len__(self) -> int:
        return int(self.layers[0].coef.shape[0])

    def __getitem__(self, index: int | slice | Tensor) -> Population:
        """Return some of the KANs; an int gives a population of one."""
        if isinstance(index, int) and not -len(self) <= index < len(self):
            raise IndexError(f"no KAN {index} among {len(self)}")
        rows = slice(index, index + 1 or None) if isinstance(index, int) else index
        return Population(self.spec, [_rows(layer, rows) for layer in self.layers])

    def __repr__(self) -> str:
        spec = self.spec
        return f"Population({len(self)} KANs {list(spec.widths)}, {spec.basis}, G={spec.grid}, k={spec.degree})"


def _rows(layer: Layer, rows: slice | Tensor) -> Layer:
    picked = {name: getattr(layer, name)[rows] for name in FIELDS if not (name == "knots" and layer.shared_knots)}
    return dataclasses.replace(layer, **picked)


def _cat_layers(layers: Sequence[Layer], *, shared_knots: bool) -> Layer:
    """Join layers. Shapes do not show shared knots: separate knots of one KAN with one input are ``[1, 1, T]``, too."""
    fields = {name: torch.cat([getattr(layer, name) for layer in layers]) for name in FIELDS if name != "knots"}
    knots = layers[0].knots if shared_knots else torch.cat([layer.knots for layer in layers])
    return Layer(**fields, knots=knots)
