"""What a KAN's univariate functions are sums of: the one place that knows a parametrisation."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from wskan.kan.spline import uniform_knots


@dataclasses.dataclass(frozen=True, kw_only=True)
class Basis(abc.ABC):
    """The functions B_1, ..., B_C of phi(x) = w_b b(x) + w_s sum_i c_i B_i(x) (eq. 3). Whatever they are, phi is linear in its coefficients.

    A neuron has a grid of G intervals, G + 1 inner knots from the beginning to the end of its domain, and some bases have knots beyond them. Every
    function takes the knots of many neurons at once, ``[..., T]``.

    Args:
        grid, degree, domain: as :class:`wskan.kan.KANSpec`'s; what they mean here, each basis says.

    Attributes:
        name: in specifications.
        noise_scale: how large fresh coefficients are, unless told otherwise.
        adapts: whether the knots may follow the activations (:func:`wskan.kan.adapt_grid`).
    """

    name: ClassVar[str]
    noise_scale: ClassVar[float] = 1.0
    adapts: ClassVar[bool] = False

    grid: int
    degree: int
    domain: tuple[float, float]

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """Number C of functions."""

    @abc.abstractmethod
    def values(self, x: Tensor, knots: Tensor) -> Tensor:
        """B_i(x), ``[..., B, C]``, for ``x [..., B]`` and ``knots [..., T]`` with leading axes that broadcast. Differentiable in x."""

    @abc.abstractmethod
    def slopes(self, x: Tensor, knots: Tensor) -> Tensor:
        """B_i'(x); arguments and shape as those of :meth:`values`."""

    @abc.abstractmethod
    def init_coefficients(self, n_in: int, n_out: int, generator: torch.Generator, noise_scale: float) -> Tensor:
        """Coefficients ``[in, out, C]`` of a fresh layer, as random as they are large: proportional to ``noise_scale``."""

    def _normal(self, n_in: int, n_out: int, generator: torch.Generator) -> Tensor:
        """Standard normal numbers ``[in, out, C]``, in single precision whatever the default is."""
        return torch.randn(n_in, n_out, self.size, generator=generator, dtype=torch.float32)

    def inverse_init_scale(self, n_in: int) -> float:
        """One over the spline weights of a fresh layer."""
        return 1.0

    def invalid_reason(self) -> str | None:
        """What is wrong with grid, degree or domain for this basis; None if nothing is."""
        return None

    def kernel_invalid_reason(self) -> str | None:
        """Why the C++ kernel cannot take it; None if it can."""
        return None

    # Knots ------------------------------------------------------------------------------------------------------------

    @property
    def num_extra_knots(self) -> int:
        """Number of knots beyond each end of the domain."""
        return 0

    @property
    def num_knots(self) -> int:
        """Number T of all knots."""
        return self.grid + 1 + 2 * self.num_extra_knots

    def extend(self, inner: Tensor) -> Tensor:
        """All knots ``[..., T]`` from the inner ones ``[..., G+1]``."""
        return inner

    def inner(self, knots: Tensor) -> Tensor:
        """The inner ones ``[..., G+1]``, a view."""
        return knots[..., self.num_extra_knots : knots.shape[-1] - self.num_extra_knots]

    def knots(self) -> Tensor:
        """Of a neuron whose grid is uniform on the domain, ``[T]``."""
        return self.extend(uniform_knots(self.grid, 0, self.domain))

    # Symmetries -------------------------------------------------------------------------------------------------------

    def constant_coefficients(self) -> Tensor | None:
        """Coefficients ``[C]`` of the function 1 (in the domain); None if these functions cannot be it."""
        return None

    def constant_part(self, coef: Tensor) -> Tensor:
        """How much of it there is in ``coef [..., C]``, as ``[..., 1]``: a number that mirroring keeps and that is linear. Of bases that have :meth:`constant_coefficients`."""
        raise NotImplementedError(f"{self.name} has no constant")

    @abc.abstractmethod
    def mirror(self, coef: Tensor) -> Tensor:
        """Coefficients of x -> f(-x) on the mirrored grid (knots negated and reversed), from those of f, ``[..., C]``."""

    def identity_coefficients(self, knots: Tensor) -> Tensor | None:
        """Coefficients ``[..., C]`` of the function x -> x (in the domain) for ``knots [..., T]``; None if these functions cannot be it."""
        return None
