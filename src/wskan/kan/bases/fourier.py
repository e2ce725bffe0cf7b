"""Fourier series, as in FourierKAN."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wskan.kan.bases.interval import ConstantFirst


class Fourier(ConstantFirst):
    """The functions 1, cos(j pi u) and sin(j pi u) for j = 1, ..., G, with u from -1 to 1 on the domain.

    The domain is one period. On [-pi, pi] these are cos(jx) and sin(jx), as in FourierKAN. Where these functions have a
    constant, FourierKAN's neurons have a bias. It has no residual activation (``base="zero"``) and no spline weight
    (initially 1 here).
    """

    name = "fourier"

    @property
    def size(self) -> int:
        return 2 * self.grid + 1

    def invalid_reason(self) -> str | None:
        return None if self.degree == 0 else f"a Fourier series has no degree: set degree=0, not {self.degree}"

    def values(self, x: Tensor, knots: Tensor) -> Tensor:
        angle = self._place(x, knots)[0] * self._frequencies(x)
        return torch.cat([torch.ones_like(angle[..., :1]), angle.cos(), angle.sin()], -1)

    def slopes(self, x: Tensor, knots: Tensor) -> Tensor:
        u, slope = self._place(x, knots)
        frequencies = self._frequencies(x)
        angle, rate = u * frequencies, slope * frequencies
        return torch.cat([torch.zeros_like(angle[..., :1]), -rate * angle.sin(), rate * angle.cos()], -1)

    def _frequencies(self, like: Tensor) -> Tensor:
        return math.pi * torch.arange(1, self.grid + 1, device=like.device, dtype=like.dtype)

    def init_coefficients(self, n_in: int, n_out: int, generator: torch.Generator, noise_scale: float) -> Tensor:
        """Draw coefficients as FourierKAN does: normal with deviation noise_scale / sqrt(in G), the constant 0."""
        coef = noise_scale * self._normal(n_in, n_out, generator) / math.sqrt(n_in * self.grid)
        coef[..., 0] = 0
        return coef

    def mirror(self, coef: Tensor) -> Tensor:
        return torch.cat([coef[..., : self.grid + 1], -coef[..., self.grid + 1 :]], -1)
