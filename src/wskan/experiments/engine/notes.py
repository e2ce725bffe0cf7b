"""Notes under the tables: how models were trained, and what is unusual about the data."""

from __future__ import annotations

from collections.abc import Mapping

from wskan.experiments.engine.classifier_scale import Problem
from wskan.experiments.engine.experiment import Request
from wskan.experiments.engine.methods import METHODS
from wskan.experiments.engine.scale import Scale
from wskan.zoo import Zoo

BEST_EPOCH = "the epoch with the best validation score is used"


def inr_notes(request: Request) -> list[str]:
    """Describe how models of INRs were trained, and how that differs from the paper."""
    scale = request.scale
    training, (train, val, test), rates = scale.training, scale.counts, [f"{rate:g}" for rate in scale.rates]
    rate = (
        f"learning rate {rates[0]} for all"
        if len(rates) == 1
        else f"learning rate from {', '.join(rates)} by validation"
    )
    return [
        f"{train:,} training, {val:,} validation and {test:,} test KANs per data set; "
        f"{scale.num_layers} layers, hidden dimension {scale.hidden}, "
        f"batches of {training.batch_size}, {training.epochs} epochs, {rate}; "
        f"gradients clipped at norm {training.gradient_clip:g}; {BEST_EPOCH}. "
        "The paper: 10,000, 5,000 and the whole test split; 4, 128, 128, 300, from 0.001 and 0.0001; "
        "it does not mention clipping.",
        *tuned_notes(scale),
    ]


def tuned_notes(scale: Scale) -> list[str]:
    """Name the methods that are trained with settings of their own, and how they describe a KAN."""
    notes = []
    for method, changes in scale.tuned.items():
        own, features = scale.of(method), METHODS[method].features
        rates = " or ".join(f"{rate:g}" for rate in own.rates)
        training = f"{own.training.epochs} epochs, batches of {own.training.batch_size}, learning rate {rates}"
        probes = f"; {features.probes} probes" if features.probes else ""
        moved = "; images moved at random in training" if set(METHODS[method].augment) & {"affine", "mirror"} else ""
        if {"hidden", "training", "rates"} & set(changes):
            notes.append(f"{METHODS[method].label}: hidden dimension {own.hidden}, {training}{probes}{moved}.")
    return notes


def data_notes(zoos: Mapping[str, Zoo]) -> list[str]:
    """Describe what is unusual about the data of zoos, from their manifests."""
    notes = []
    for dataset, zoo in zoos.items():
        built = zoo.manifest.built_with
        notes += [f"{dataset}: {built['data']}"] if built.get("data") else []
        foreign = built.get("data_not_as_published")
        notes += [f"{dataset}: {foreign} are not the files as published"] if foreign else []
    return notes


def classifier_zoo_notes(zoos: Mapping[str, Zoo]) -> list[str]:
    """Describe the data of zoos of classifiers, and how many edges the oracle keeps."""
    notes = []
    for dataset, zoo in zoos.items():
        notes += data_notes({dataset: zoo})
        notes.append(f"{dataset}: the oracle keeps {100 * zoo.info()['kept_mean']:.1f} % of the edges.")
    return notes


def classifier_training_notes(request: Request, problem: Problem) -> list[str]:
    """Describe how models of classifiers were trained, and how that differs from the paper."""
    scale = request.scale.classifiers
    search, (train, val, test) = scale.search(problem), scale.counts
    choice = (
        f"hidden dimension {' or '.join(map(str, search.hidden))}, {' or '.join(map(str, search.num_layers))} layers, "
        f"learning rate {' or '.join(f'{rate:g}' for rate in search.rates)}"
    )
    by_validation = " (by validation)" if " or " in choice else ""
    paper = {
        "accuracy": "128 or 32, 4 or 1, 0.001, 0.005 or 0.0001, 100 epochs",
        "pruning": "128, 4, 0.001 or 0.0001, 15 epochs",
    }[problem]
    return [
        f"{train:,} training, {val:,} validation and {test:,} test KANs per data set; {choice}{by_validation}; "
        f"batches of {search.training.batch_size}, {search.training.epochs} epochs; "
        f"gradients clipped at norm {search.training.gradient_clip:g}; {BEST_EPOCH}. "
        f"The paper: 3,000, 500 and 500; {paper}, batches of 32; it does not mention clipping."
    ]
