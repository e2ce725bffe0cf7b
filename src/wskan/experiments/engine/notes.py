"""Notes under the tables: how models were trained, and what is unusual about the data."""

from __future__ import annotations

from collections.abc import Mapping

from wskan.experiments.engine.classifier_scale import Problem
from wskan.experiments.engine.comparison import data_notes
from wskan.experiments.engine.experiment import Request
from wskan.experiments.engine.methods import METHODS
from wskan.experiments.engine.scale import Scale
from wskan.zoo import Zoo


def inr_notes(request: Request) -> list[str]:
    """How the models were trained, and how that differs from the paper."""
    scale = request.scale
    training, counts, rates = scale.training, scale.counts, [f"{rate:g}" for rate in scale.rates]
    rate = (
        f"learning rate {rates[0]} for all"
        if len(rates) == 1
        else f"learning rate from {', '.join(rates)} by validation"
    )
    return [
        f"{counts[0]:,} training, {counts[1]:,} validation and {counts[2]:,} test KANs a data set; {scale.num_layers} layers, hidden dimension {scale.hidden}, "
        f"batches of {training.batch_size}, {training.epochs} epochs, {rate}; gradients clipped at norm {training.gradient_clip:g}; the epoch with the best validation score counts. "
        "The paper: 10,000, 5,000 and the whole test split; 4, 128, 128, 300, from 0.001 and 0.0001; it names no clipping.",
        *own_notes(scale),
    ]


def own_notes(scale: Scale) -> list[str]:
    """Say which methods are trained otherwise than the others, and how they see a KAN."""
    notes = []
    for method, changes in scale.tuned.items():
        own, features = scale.of(method), METHODS[method].features
        rates = " or ".join(f"{rate:g}" for rate in own.rates)
        size = f"hidden dimension {own.hidden}, {own.training.epochs} epochs, batches of {own.training.batch_size}, learning rate {rates}"
        seen = f"; {features.probes} probes" if features.probes else ""
        moved = "; images moved at random in training" if set(METHODS[method].augment) & {"affine", "mirror"} else ""
        if {"hidden", "training", "rates"} & set(changes):
            notes.append(f"{METHODS[method].label}: {size}{seen}{moved}.")
    return notes


def classifier_zoo_notes(zoos: Mapping[str, Zoo]) -> list[str]:
    """What is unusual about the data of zoos, and how much the oracle keeps."""
    notes = []
    for dataset, zoo in zoos.items():
        notes += data_notes({dataset: zoo})
        notes.append(f"{dataset}: the oracle keeps {100 * zoo.info()['kept_mean']:.1f} % of the edges.")
    return notes


def classifier_training_notes(request: Request, problem: Problem) -> list[str]:
    """How the models were trained, and how that differs from the paper."""
    scale = request.scale.classifiers
    search, (train, val, test) = scale.search(problem), scale.counts
    choice = (
        f"hidden dimension {' or '.join(map(str, search.hidden))}, {' or '.join(map(str, search.num_layers))} layers, "
        f"learning rate {' or '.join(f'{rate:g}' for rate in search.rates)}"
    )
    paper = "128 or 32, 4 or 1, 0.001, 0.005 or 0.0001, 100 epochs" if problem == "accuracy" else "128, 4, 0.001 or 0.0001, 15 epochs"  # fmt: skip
    return [
        f"{train:,} training, {val:,} validation and {test:,} test KANs a data set; {choice}{'' if ' or ' not in choice else ' (by validation)'}; batches of "
        f"{search.training.batch_size}, {search.training.epochs} epochs; gradients clipped at norm {search.training.gradient_clip:g}; the epoch with the best validation score counts. "
        f"The paper: 3,000, 500 and 500; {paper}, batches of 32; it names no clipping."
    ]
