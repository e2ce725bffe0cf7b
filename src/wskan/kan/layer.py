"""One layer of K KANs as stacked tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wskan.kan.bases.base import Basis
from wskan.kan.spec import KANSpec

BASE_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "identity": lambda x: x,
    "zero": torch.zeros_like,
}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """The univariate functions phi_{p,q} of one layer of K KANs (paper, eq. 3; pykan's names in brackets).

    Attributes:
        base_weight: ``[K, in, out]`` w_b (``scale_base``).
        spline_weight: ``[K, in, out]`` w_s (``scale_sp``).
        coef: ``[K, in, out, C]`` c (``coef``) for C basis functions: G + k B-splines.
        mask: ``[K, in, out]`` 1 for an edge that exists, 0 for a pruned one (``mask``).
        knots: ``[K, in, T]`` for each input neuron (``grid``), or ``[1, 1, T]`` for one uniform grid shared by all.
            T is G + 2k + 1 for B-splines.
    """

    base_weight: Tensor
    spline_weight: Tensor
    coef: Tensor
    mask: Tensor
    knots: Tensor

    @classmethod
    def init(
        cls, functions: Basis, n_in: int, n_out: int, generators: Sequence[torch.Generator], noise_scale: float
    ) -> Layer:
        """Initialise a layer of K KANs from their K generators; see :meth:`wskan.kan.Population.init`."""
        coef, base = [], []
        for generator in generators:  # in pykan's order: the noise before the base weights
            coef.append(functions.init_coefficients(n_in, n_out, generator, noise_scale))
            base.append(torch.rand(n_in, n_out, generator=generator, dtype=torch.float32) * 2 - 1)
        ones = torch.ones(len(generators), n_in, n_out, dtype=torch.float32)
        return cls(
            base_weight=torch.stack(base) / n_in**0.5,
            spline_weight=ones / functions.inverse_init_scale(n_in),
            coef=torch.stack(coef),
            mask=ones,
            knots=functions.knots().expand(1, 1, -1),
        )

    def __call__(self, x: Tensor, spec: KANSpec) -> Tensor:
        """Map x ``[K, B, in]`` to ``[K, B, out]`` with one batched matrix product over all edges."""
        basis = spec.basis_functions.values(x.unsqueeze(-1), self.knots.unsqueeze(1)).squeeze(-2)  # [K, B, in, C]
        base = BASE_FUNCTIONS[spec.base](x).unsqueeze(-1)
        return torch.cat([base, basis], -1).flatten(2) @ self.matrix()  # [K, B, in*(1+C)] @ [K, in*(1+C), out]

    def weights(self) -> Tensor:
        """Return the weights of b(x) and of the basis on each edge, ``[K, in, out, 1+C]``; zero for a pruned edge."""
        spline = (self.spline_weight * self.mask).unsqueeze(-1) * self.coef  # [K, in, out, C]
        return torch.cat([(self.base_weight * self.mask).unsqueeze(-1), spline], -1)

    def matrix(self) -> Tensor:
        """Arrange the weights of all edges as one matrix, ``[K, in*(1+C), out]``."""
        return self.weights().transpose(2, 3).flatten(1, 2)

    def functions(self, x: Tensor, spec: KANSpec) -> Tensor:
        """Evaluate b(x) and the basis of each neuron at x ``[K or 1, in or 1, B]``, giving ``[..., B, 1+C]``."""
        return torch.cat([BASE_FUNCTIONS[spec.base](x).unsqueeze(-1), spec.basis_functions.values(x, self.knots)], -1)

    @property
    def shared_knots(self) -> bool:
        """Return whether all KANs and neurons share one grid.

        The knots of a single KAN with a single input have the same shape, but are its own.
        """
        return self.knots.shape[:2] == (1, 1) and self.coef.shape[:2] != (1, 1)

    def map(self, function: Callable[[Tensor], Tensor]) -> Layer:
        """Apply ``function`` to each tensor and return the new layer."""
        return Layer(**{field: function(getattr(self, field)) for field in FIELDS})


FIELDS = tuple(field.name for field in dataclasses.fields(Layer))
