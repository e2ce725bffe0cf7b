"""Zoos: files of trained KANs, recipes for them, building, and reading."""

from wskan.zoo.builder import build_zoo
from wskan.zoo.recipe import ClassifierConfig, Recipe
from wskan.zoo.recipes import RECIPES, get_recipe
from wskan.zoo.reconstruct import reconstruct
from wskan.zoo.storage import SPLITS
from wskan.zoo.store import Zoo, open_zoo

__all__ = [
    "RECIPES",
    "SPLITS",
    "ClassifierConfig",
    "Recipe",
    "Zoo",
    "build_zoo",
    "get_recipe",
    "open_zoo",
    "reconstruct",
]
