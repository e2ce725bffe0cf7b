"""The interface of a basis, the functions that a KAN's univariate functions are sums of."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from wskan.kan.spline import uniform_knots


@dataclasses.dataclass(frozen=True, kw_only=True)
class Basis(abc.ABC):
    """The functions B_1, ..., B_C of phi(x) = w_b b(x) + w_s sum_i c_i B_i(x) (paper, eq. 3).

    In every basis, phi is linear in its coefficients. A neuron has a grid of G intervals: G + 1 inner knots from the
    start to the end of its domain. Some bases have more knots beyond them. Every method takes the knots of many
    neurons at once, ``[..., T]``.

    Args:
        grid, degree, domain: as in :class:`wskan.kan.KANSpec`; each basis documents their meaning.

    Attributes:
        name: the name in specifications.
        noise_scale: default scale of initial coefficients.
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
        """Return the number C of functions."""

    @abc.abstractmethod
    def values(self, x: Tensor, knots: Tensor) -> Tensor:
        """Evaluate B_i(x), ``[..., B, C]``, for ``x [..., B]`` and ``knots [..., T]`` whose leading axes broadcast.

        The result is differentiable in x.
        """

    @abc.abstractmethod
    def slopes(self, x: Tensor, knots: Tensor) -> Tensor:
        """Evaluate B_i'(x); arguments and shape as in :meth:`values`."""

    @abc.abstractmethod
    def init_coefficients(self, n_in: int, n_out: int, generator: torch.Generator, noise_scale: float) -> Tensor:
        """Draw initial coefficients ``[in, out, C]`` of a layer, proportional to ``noise_scale``."""

    def _normal(self, n_in: int, n_out: int, generator: torch.Generator) -> Tensor:
        """Draw standard normal numbers ``[in, out, C]``, in single precision whatever the default dtype is."""
        return torch.randn(n_in, n_out, self.size, generator=generator, dtype=torch.float32)

    def inverse_init_scale(self, n_in: int) -> float:
        """Return the reciprocal of the initial spline weights of a layer with ``n_in`` inputs."""
        return 1.0

    def invalid_reason(self) -> str | None:
        """Return why grid, degree or domain are invalid for this basis; None if they are valid."""
        return None

    def kernel_invalid_reason(self) -> str | None:
        """Return why the C++ kernel does not support this basis; None if it does."""
        return None

    # Knots ------------------------------------------------------------------------------------------------------------

    @property
    def num_extra_knots(self) -> int:
        """Return the number of knots beyond each end of the domain."""
        return 0

    @property
    def num_knots(self) -> int:
        """Return the number T of all knots."""
        return self.grid + 1 + 2 * self.num_extra_knots

    def extend(self, inner: Tensor) -> Tensor:
        """Return all knots ``[..., T]``, given the inner knots ``[..., G+1]``."""
        return inner

    def inner(self, knots: Tensor) -> Tensor:
        """Return the inner knots ``[..., G+1]``, a view."""
        return knots[..., self.num_extra_knots : knots.shape[-1] - self.num_extra_knots]

    def knots(self) -> Tensor:
        """Build the knots ``[T]`` of a neuron whose grid is uniform on the domain."""
        return self.extend(uniform_knots(self.grid, 0, self.domain))

    # Symmetries -------------------------------------------------------------------------------------------------------

    def constant_coefficients(self) -> Tensor | None:
        """Return coefficients ``[C]`` of the function 1 (in the domain); None if the basis does not contain it."""
        return None

    def constant_part(self, coef: Tensor) -> Tensor:
        """Return the constant part of each function, ``[..., 1]``, from ``coef [..., C]``.

        It is linear in ``coef`` and unchanged by :meth:`mirror`. Only for bases with :meth:`constant_coefficients`.
        """
        raise NotImplementedError(f"{self.name} has no constant function")

    @abc.abstractmethod
    def mirror(self, coef: Tensor) -> Tensor:
        """Return coefficients of x -> f(-x) from those of f, ``[..., C]``, on the mirrored grid.

        The knots of the mirrored grid are negated and reversed.
        """

    def identity_coefficients(self, knots: Tensor) -> Tensor | None:
        """Return coefficients ``[..., C]`` of x -> x (in the domain) for ``knots [..., T]``.

        None if the basis does not contain this function.
        """
        return None
