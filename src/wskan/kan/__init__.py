"""Kolmogorov-Arnold networks (KANs): specification, populations, symmetries, fitting, evaluation and pruning."""

from wskan.kan.adapt_grid import adapt_grid
from wskan.kan.attribution import Attribution, attribution
from wskan.kan.bases import BASES, Basis
from wskan.kan.canonical import CanonicalForm, canonicalize, fold
from wskan.kan.domain import outside_domain, symmetry_error
from wskan.kan.edge_functions import edge_functions
from wskan.kan.evaluate import Activations, accuracy, activations, outputs
from wskan.kan.fit import fit_population
from wskan.kan.fit_config import Engine, FitConfig, FitResult
from wskan.kan.layer import Layer
from wskan.kan.minibatches import derive_seed, minibatches
from wskan.kan.oracle import Score, edge_scores, oracle_masks
from wskan.kan.permutation import Permutation
from wskan.kan.population import Population
from wskan.kan.pykan import from_pykan
from wskan.kan.responses import Responses, responses
from wskan.kan.spec import KANSpec
from wskan.kan.spline import bspline_basis, extend_knots, greville_abscissae, uniform_knots
from wskan.kan.symmetry import negate_neurons, scale_edges, shift_edges

__all__ = [
    "BASES",
    "Activations",
    "Attribution",
    "Basis",
    "CanonicalForm",
    "Engine",
    "FitConfig",
    "FitResult",
    "KANSpec",
    "Layer",
    "Permutation",
    "Population",
    "Responses",
    "Score",
    "accuracy",
    "activations",
    "adapt_grid",
    "attribution",
    "bspline_basis",
    "canonicalize",
    "derive_seed",
    "edge_functions",
    "edge_scores",
    "extend_knots",
    "fit_population",
    "fold",
    "from_pykan",
    "greville_abscissae",
    "minibatches",
    "negate_neurons",
    "oracle_masks",
    "outputs",
    "outside_domain",
    "responses",
    "scale_edges",
    "shift_edges",
    "symmetry_error",
    "uniform_knots",
]
