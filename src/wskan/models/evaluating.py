"""Shared by models that evaluate the KANs whose graphs they read."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch import Tensor

from wskan.errors import DataError, DivergedError, ShapeError
from wskan.graph import EVALUABLE, FeatureConfig, KANGraph, population_of
from wskan.graph.probes import sobol_points
from wskan.kan import KANSpec, Responses, responses
from wskan.models.config import ModelConfig
from wskan.reading import shown

P = ParamSpec("P")
T = TypeVar("T")
FIELDS = ("basis", "grid", "degree", "domain", "base")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluatingConfig(ModelConfig):
    """The configuration of a model that evaluates KANs.

    Such a model reads graphs made with ``FeatureConfig(form="raw", knots=True)``. They hold all of a KAN except the
    fields below.

    Args:
        basis, grid, degree, domain, base: the specification of the KANs (:class:`wskan.kan.KANSpec`). Reset to their
            defaults if the model evaluates nothing.

    Raises:
        DataError: The specification is invalid, or graphs of such KANs have other dimensions.
    """

    basis: str = "bspline"
    grid: int = 5
    degree: int = 3
    domain: tuple[float, float] = (-1.0, 1.0)
    base: str = "silu"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.evaluates:
            for name in FIELDS:
                object.__setattr__(self, name, getattr(EvaluatingConfig, name))
            return
        if not isinstance(self.domain, tuple | list):
            raise DataError(f"model configuration: domain must be two numbers a < b, got {shown(self.domain)}")
        object.__setattr__(self, "domain", tuple(self.domain))
        need = (EVALUABLE.edge_dim(self.spec), EVALUABLE.node_dim(self.spec), EVALUABLE.bias_dim)
        if (self.edge_dim, self.node_dim, self.bias_dim) != need:
            raise DataError(
                f"model configuration: edge_dim, node_dim and bias_dim are {self.edge_dim}, {self.node_dim} and "
                f"{self.bias_dim}, but to evaluate KANs of {self.basis} with grid {self.grid} and degree {self.degree} "
                f"they must be {need[0]}, {need[1]} and {need[2]}: read features of form raw with knots"
            )

    @property
    def evaluates(self) -> bool:
        """Return whether the model evaluates KANs at all."""
        return True

    @functools.cached_property
    def spec(self) -> KANSpec:
        """Return the specification of the KANs that the model evaluates."""
        return KANSpec(widths=self.widths, **{name: getattr(self, name) for name in FIELDS})

    @classmethod
    def fields_of(cls, spec: KANSpec) -> dict[str, Any]:
        """Return basis, grid, degree, domain and base."""
        return {name: getattr(spec, name) for name in FIELDS}

    def check_kans(self, spec: KANSpec, features: FeatureConfig) -> None:
        """Raise unless basis, grid, degree, domain and base agree, and features are of form raw with knots.

        Raises:
            DataError: The KANs or features do not fit the model.
        """
        if not self.evaluates:
            return
        if features != EVALUABLE:
            raise DataError(f"model {self.model} evaluates KANs: read features of form raw with knots, not {features}")
        if different := [name for name in FIELDS if getattr(spec, name) != getattr(self, name)]:
            raise DataError(
                f"the model evaluates KANs of another {' and '.join(different)} than {spec.to_dict()}: "
                f"configure it with {type(self).__name__}.fields_of(spec)"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the specification of KANs if the model evaluates nothing."""
        data = {**super().to_dict(), "domain": list(self.domain)}
        return data if self.evaluates else {name: value for name, value in data.items() if name not in FIELDS}


def eager(function: Callable[P, T]) -> Callable[P, T]:
    """Exclude from ``torch.compile`` a function that passes addresses of tensors to C++.

    ``torch.compiler.disable`` as a decorator would add a second to every import.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if torch.compiler.is_compiling():
            return cast(T, torch.compiler.disable(function)(*args, **kwargs))  # type: ignore[no-untyped-call]
        return function(*args, **kwargs)

    return call


@eager
def responses_of(graph: KANGraph, config: EvaluatingConfig, x: Tensor, edge_points: int = 0) -> Responses:
    """Evaluate the KANs of graphs, in single precision. Gradients pass to ``x``.

    Args:
        graph: B graphs of form raw with knots.
        config: configuration with the specification of the KANs.
        x: ``[N, in]`` or ``[B, N, in]``.
        edge_points: number of leading inputs at which edges are evaluated, too.

    Raises:
        ShapeError: The graphs have other features, or other numbers of inputs or outputs.
        DivergedError: x is not finite.
    """
    ends, expected = (graph.widths[0], graph.widths[-1]), (config.widths[0], config.widths[-1])
    if ends != expected:
        raise ShapeError(f"graphs have (inputs, outputs) {ends}, but this model evaluates KANs of {expected}")
    if not bool(x.isfinite().all()):
        raise DivergedError("the learned inputs are no longer finite: training diverged; lower the learning rate")
    return responses(population_of(graph, config.spec), x, edge_points)


def spread_inputs(count: int, n_in: int) -> Tensor:
    """Return fixed inputs spread over the box (-1, 1)^in, ``[count, in]`` float32."""
    return 2 * sobol_points(count, n_in) - 1
