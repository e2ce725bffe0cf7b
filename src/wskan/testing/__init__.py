"""Helpers for tests: fake zoos, symmetry checks, and a conformance test that any model can inherit."""

from wskan.testing.conformance import ModelConformance
from wskan.testing.equivariance import assert_equivariant, equivariance_error, random_permutation
from wskan.testing.fakes import FakeZoo, in_domain, random_population

__all__ = [
    "FakeZoo",
    "ModelConformance",
    "assert_equivariant",
    "equivariance_error",
    "in_domain",
    "random_permutation",
    "random_population",
]
