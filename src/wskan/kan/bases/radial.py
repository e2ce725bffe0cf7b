"""Radial basis functions, as in FastKAN."""

from __future__ import annotations

import torch
from torch import Tensor

from wskan.kan.bases.base import Basis


class RadialBasis(Basis):
    """Gaussians exp(-((x - g_i) / h)^2) as in FastKAN (Li 2024, arXiv:2405.06721).

    Their G + 1 centres are the knots, and h is the mean distance between them. FastKAN's eight centres on [-2, 2] are
    ``grid=7, domain=(-2, 2)``. This is FastKAN with ``use_layernorm=False``: a layer norm mixes the neurons, so what
    follows it is not a sum of univariate functions. FastKAN has no spline weight (initially 1 here). Its bias is left
    out.
    """

    name = "rbf"
    noise_scale = 0.1

    @property
    def size(self) -> int:
        return self.grid + 1

    def invalid_reason(self) -> str | None:
        return None if self.degree == 0 else f"radial basis functions have no degree: set degree=0, not {self.degree}"

    def values(self, x: Tensor, knots: Tensor) -> Tensor:
        return torch.exp(-self._distance(x, knots)[0].square())

    def slopes(self, x: Tensor, knots: Tensor) -> Tensor:
        t, h = self._distance(x, knots)
        return -2 * t / h * torch.exp(-t.square())

    def _distance(self, x: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
        """Return (x - g_i) / h, and h."""
        h = ((knots[..., -1:] - knots[..., :1]) / self.grid).unsqueeze(-2)
        return (x.unsqueeze(-1) - knots.unsqueeze(-2)) / h, h

    def init_coefficients(self, n_in: int, n_out: int, generator: torch.Generator, noise_scale: float) -> Tensor:
        """Draw coefficients as FastKAN does: normal with standard deviation ``noise_scale``.

        This is its ``spline_weight_init_scale``. FastKAN truncates at 20 deviations.
        """
        return self._normal(n_in, n_out, generator) * noise_scale

    def mirror(self, coef: Tensor) -> Tensor:
        return coef.flip(-1)
