"""Kolmogorov-Arnold networks: specification, populations of KANs, fitting, evaluating and pruning them."""

from wskan.kan.adapt_grid import adapt_grid
from wskan.kan.evaluate import Activations, accuracy, activations, outputs
from wskan.kan.fit import Engine, FitConfig, FitResult, fit_population
from wskan.kan.minibatches import derive_seed, minibatches
from wskan.kan.oracle import Score, edge_scores, oracle_masks
from wskan.kan.permutation import Permutation
from wskan.kan.population import Layer, Population
from wskan.kan.pykan import from_pykan
from wskan.kan.spec import KANSpec
from wskan.kan.spline import bspline_basis, extend_knots, uniform_knots

__all__ = [
    "Activations",
    "Engine",
    "FitConfig",
    "FitResult",
    "KANSpec",
    "Layer",
    "Permutation",
    "Population",
    "Score",
    "accuracy",
    "activations",
    "adapt_grid",
    "bspline_basis",
    "derive_seed",
    "edge_scores",
    "extend_knots",
    "fit_population",
    "from_pykan",
    "minibatches",
    "oracle_masks",
    "outputs",
    "uniform_knots",
]
