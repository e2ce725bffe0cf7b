"""Choose the inputs at which KANs are probed.

Probe features are from Kofinas et al., "Graph Neural Networks for Learning Equivariant Representations of Neural
Networks" (2024).
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wskan.kan import Population
from wskan.kan.attribution import along_grid

FEW = 8
"""KANs with at most this many inputs (implicit neural representations) are probed at fixed points of the domain."""
OBSERVED = 24
"""The number of leading probes at which the form ``"observed"`` evaluates edges."""


def probe_inputs(population: Population, count: int, domain: tuple[float, float]) -> Tensor:
    """Return the inputs at which each KAN is probed. They are the same on every call.

    KANs with at most 8 inputs share the points of a scrambled Sobol sequence in the cube ``domain^in``. For other KANs,
    each input takes fixed quantiles of its own grid, chosen independently. An adapted grid holds the quantiles of the
    training inputs.

    Args:
        population: K KANs.
        count: the number P of probes.
        domain: the interval for each input of KANs with at most 8 inputs.

    Returns:
        ``[1, P, in]`` if all KANs share their probes, ``[K, P, in]`` otherwise.
    """
    n_in = population.spec.widths[0]
    if n_in <= FEW:
        return (domain[0] + (domain[1] - domain[0]) * sobol_points(count, n_in)).unsqueeze(0)
    share = torch.rand(n_in, count, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    inner = population.spec.basis_functions.inner(population.layers[0].knots).float()
    return along_grid(inner, share).transpose(1, 2)


def sobol_points(count: int, n_in: int) -> Tensor:
    """Return fixed points of a scrambled Sobol sequence in the unit cube, ``[count, in]`` float32.

    In more than 21,201 dimensions, PyTorch's limit for Sobol sequences, the points are pseudorandom.
    """
    if n_in > torch.quasirandom.SobolEngine.MAXDIM:
        return torch.rand(count, n_in, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    engine = torch.quasirandom.SobolEngine(n_in, scramble=True, seed=0)  # type: ignore[no-untyped-call]
    points: Tensor = engine.draw(count, dtype=torch.float32)
    return points


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class InputMap:
    """Affine maps ``x -> R (s * (x - m)) + t + m`` of the inputs of K KANs, where m is the middle of the domain.

    A KAN that represents an image then represents the moved image.

    Attributes:
        scale: s, ``[K, in]``; negative where an input is mirrored.
        shift: t, ``[K, in]``.
        angle: the angle of the rotation R in radians, ``[K]``; None for KANs that do not have two inputs.
    """

    scale: Tensor
    shift: Tensor
    angle: Tensor | None = None

    def __call__(self, x: Tensor, domain: tuple[float, float]) -> Tensor:
        """Map points ``[1 or K, P, in]`` to ``[K, P, in]``, clamped to the domain."""
        middle = (domain[0] + domain[1]) / 2
        x = (x - middle) * self.scale.unsqueeze(1)
        if self.angle is not None:
            cos, sin = self.angle.cos(), self.angle.sin()
            x = x @ torch.stack([cos, sin, -sin, cos], -1).view(-1, 2, 2)
        return (x + self.shift.unsqueeze(1) + middle).clamp(*domain)
