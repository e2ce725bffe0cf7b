"""The specification of a KAN: its architecture without weights."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from typing import Any

from wskan.errors import DataError
from wskan.files import digest
from wskan.kan.bases import BASES, Basis
from wskan.reading import build, number, shown, whole

ACTIVATIONS = ("silu", "identity", "zero")

# Caps are checked before anything is allocated, because a specification may come from an untrusted file.
MAX_LAYERS, MAX_WIDTH, MAX_GRID, MAX_DEGREE, MAX_PARAMETERS = 64, 65_536, 1_024, 16, 1_000_000_000
MAX_DOMAIN = 1e6


@dataclasses.dataclass(frozen=True, kw_only=True)
class KANSpec:
    """The architecture of a KAN (Liu et al. 2025; paper, eqs. 1-3), with B-splines by default.

    Args:
        widths: neurons per layer, inputs first: ``(2, 32, 32, 1)``.
        grid: number G of grid intervals on the domain (pykan's ``grid``).
        degree: degree k of the B-splines (pykan's ``k``).
        domain: ``(a, b)`` covered by the initial uniform grid (pykan's ``grid_range``).
        base: residual activation b(x) of eq. 3: ``"silu"``, ``"identity"`` or ``"zero"``.
        basis: ``"bspline"``, ``"rbf"`` (FastKAN), ``"chebyshev"``, ``"fourier"`` or ``"wavelet"``.
            See :mod:`wskan.kan.bases` for the meaning of grid, degree and domain in each.

    Raises:
        DataError: a value is out of range.

    Example:
        >>> from wskan.kan import KANSpec
        >>> spec = KANSpec(widths=(2, 5, 1), grid=5, degree=3)
        >>> spec.num_basis, spec.num_edges, spec.num_parameters
        (8, 15, 150)
        >>> KANSpec.from_dict(spec.to_dict()) == spec
        True
    """

    widths: tuple[int, ...]
    grid: int = 5
    degree: int = 3
    domain: tuple[float, float] = (-1.0, 1.0)
    base: str = "silu"
    basis: str = "bspline"

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "domain", tuple(self.domain))
        _require(
            2 <= len(self.widths) <= MAX_LAYERS + 1,
            f"widths must have 2 to {MAX_LAYERS + 1} entries, got {len(self.widths)}",
        )
        for width in self.widths:
            whole(width, "KANSpec: a width", 1, MAX_WIDTH)
        whole(self.grid, "KANSpec: grid", 1, MAX_GRID)
        whole(self.degree, "KANSpec: degree", 0, MAX_DEGREE)
        for end in self.domain:
            number(end, "KANSpec: an end of the domain", -MAX_DOMAIN, MAX_DOMAIN)
        _require(
            len(self.domain) == 2 and self.domain[0] < self.domain[1],
            f"domain must be two numbers a < b, got {shown(self.domain)}",
        )
        _require(self.base in ACTIVATIONS, f"base must be one of {ACTIVATIONS}, got {shown(self.base)}")
        _require(
            isinstance(self.basis, str) and self.basis in BASES,
            f"basis must be one of {list(BASES)}, got {shown(self.basis)}",
        )
        _require(self.basis_functions.invalid_reason() is None, f"{self.basis_functions.invalid_reason()}")
        _require(
            self.num_parameters <= MAX_PARAMETERS,
            f"must have at most {MAX_PARAMETERS:,} parameters, got {self.num_parameters:,}",
        )

    @property
    def num_layers(self) -> int:
        """Return the number L of KAN layers."""
        return len(self.widths) - 1

    @functools.cached_property
    def basis_functions(self) -> Basis:
        """Return the basis functions on every edge."""
        return BASES[self.basis](grid=self.grid, degree=self.degree, domain=self.domain)

    @property
    def num_basis(self) -> int:
        """Return the number C of basis functions per edge: G + k B-splines."""
        return self.basis_functions.size

    @property
    def num_knots(self) -> int:
        """Return the number T of knots per neuron: G + 2k + 1 for B-splines, with k beyond each end of the domain."""
        return self.basis_functions.num_knots

    @property
    def num_edges(self) -> int:
        """Return the number of univariate functions."""
        return sum(n * m for n, m in itertools.pairwise(self.widths))

    @property
    def num_parameters(self) -> int:
        """Return the number of trainable parameters: a base weight, a spline weight and C coefficients per edge."""
        return self.num_edges * (self.num_basis + 2)

    @property
    def digest(self) -> str:
        """Return twelve hexadecimal digits that identify this specification in file names."""
        return digest(self.to_dict(), 12)

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON types, the inverse of :meth:`from_dict`."""
        data = {
            "widths": list(self.widths),
            "grid": self.grid,
            "degree": self.degree,
            "domain": list(self.domain),
            "base": self.base,
        }
        return data if self.basis == "bspline" else {**data, "basis": self.basis}  # absence keeps older digests valid

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> KANSpec:
        """Build a specification from JSON types.

        Raises:
            DataError: unknown or missing keys, wrong types, or values out of range.
        """
        return build(cls, data, "KAN specification")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise DataError(f"KANSpec: {message}")
