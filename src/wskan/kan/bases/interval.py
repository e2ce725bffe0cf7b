"""Bases that are functions of the position of x in its domain."""

from __future__ import annotations

import torch
from torch import Tensor

from wskan.kan.bases.base import Basis


class OnInterval(Basis):
    """A base class for functions of u, the position of x in the domain from -1 to 1; inner knots are not used."""

    def _place(self, x: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
        """Return u ``[..., B, 1]`` and du/dx ``[..., 1, 1]``."""
        low, high = knots[..., :1], knots[..., -1:]
        slope = 2 / (high - low)
        return ((x - (low + high) / 2) * slope).unsqueeze(-1), slope.unsqueeze(-1)


class ConstantFirst(OnInterval):
    """A base class for bases whose first function is constant."""

    def constant_coefficients(self) -> Tensor:
        return torch.eye(self.size, dtype=torch.float32)[0]

    def constant_part(self, coef: Tensor) -> Tensor:
        return coef[..., :1]
