"""Tables 1 and 6: INR classification (paper, sections 5.1 and C.4)."""

from __future__ import annotations

from collections.abc import Sequence

from wskan.experiments.comparison import Metric, comparison, data_notes
from wskan.experiments.experiment import Experiment, Request
from wskan.experiments.methods import METHODS
from wskan.experiments.scale import Scale
from wskan.experiments.workspace import Workspace

BASELINES = ("mlp", "mlp_aug", "mlp_align", "dmc", "deepsets", "set_transformer", "ws_kan")
ABLATIONS = ("no_pe", "no_bidir", "ws_kan")
FULL = ("mlp", "mlp_aug", "mlp_align", "dmc", "deepsets", "weights", "probes", "probe_gen", "image_cnn")
"""At scale ``full``: WS-KAN that reads weights, WS-KAN that is shown activations, and what outputs alone say."""


def classification(
    name: str,
    title: str,
    methods: Sequence[str],
    paper: str,
    shares: Experiment | None = None,
    full: Sequence[str] | None = None,
) -> Experiment:
    """Test accuracies of methods."""

    def notes(workspace: Workspace, request: Request) -> list[str]:
        said = protocol_notes(request)
        if "set_transformer" in methods and request.scale.inducing and request.scale.name != "full":
            said.append(
                f"SetTransformer with {request.scale.inducing} inducing points (Lee et al. 2019); the paper's attends between all edges."
            )
        zoos = {dataset: workspace.zoo(request.scale.recipe(dataset)) for dataset in request.datasets}
        return [*said, *data_notes(zoos)]

    metric = Metric("accuracy", title, "test accuracy, percent", "higher", paper)
    return comparison(name, "inr", methods, [metric], notes, shares=shares, full=full)


def protocol_notes(request: Request) -> list[str]:
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


table1 = classification(
    "table1", "Table 1: INR classification", BASELINES, "table1_inr_classification_accuracy", full=FULL
)
table6 = classification(
    "table6", "Table 6: INR classification, ablation", ABLATIONS, "table6_ablation_inr_accuracy", shares=table1
)
