"""The rows of the tables: models, and what each of them reads."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

from wskan.graph import EVALUABLE, FeatureConfig, Form
from wskan.tasks import Symmetry

RAW = FeatureConfig(form="raw", knots=False)
WEIGHT_FORMS = tuple(form for form in get_args(Form) if form != "observed")
SYMMETRIC: tuple[Symmetry, ...] = ("scale", "sign", "noise")
"""Symmetries to draw for an equivariant model, for which permutations change nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """A row of a table.

    Args:
        label: the name that readers see, as in the paper.
        model: name in :data:`wskan.models.MODELS`.
        options: fields of its configuration that differ from the defaults.
        augment: symmetries drawn at random each time that a training KAN is seen.
        aligned: whether all KANs are first aligned to the mean of the training KANs (appendix D.1).
        features: the description of a KAN; eq. 5 in the paper.
        task: what the model is trained for, if not the task of the problem.
        saved_name: the name in paper.json and in names of runs, if not the key in :data:`METHODS`.
    """

    label: str
    model: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    augment: tuple[Symmetry, ...] = ()
    aligned: bool = False
    features: FeatureConfig = RAW
    task: str | None = None
    saved_name: str | None = None

    @property
    def reads(self) -> str:
        """Return what the model learns from: the weights of a KAN, or what evaluating the KAN gives."""
        if self.model in OUTPUT_MODELS:
            return "outputs"
        if self.features.form == "observed" or "learned_probes" in self.options:
            return "activations"
        return "weights, activations" if self.features.probes else "weights"


OUTPUT_MODELS = ("probe_gen", "image_cnn")
MIRRORED = ("fashion-mnist", "cifar10")
"""Data sets whose images keep their class when they are mirrored from left to right."""
MOVES: tuple[Symmetry, ...] = ("affine", "mirror")

PAPER_METHODS: dict[str, Method] = {
    "mlp": Method(label="MLP", model="mlp"),
    "mlp_aug": Method(label="MLP + Aug.", model="mlp", augment=("permutation",)),
    "mlp_align": Method(label="MLP + Align.", model="mlp", aligned=True),
    "dmc": Method(label="DMC", model="dmc"),
    "deep_sets": Method(label="DeepSets", model="deep_sets", saved_name="deepsets"),
    "set_transformer": Method(label="SetTransformer", model="set_transformer"),
    "ws_kan": Method(label="WS-KAN", model="ws_kan"),
    "no_pe": Method(label="WS-KAN, no PE", model="ws_kan", options={"positional_encoding": False}),
    "no_bidir": Method(label="WS-KAN, no bidir.", model="ws_kan", options={"backward_messages": False}),
}
"""Methods of the paper. Table 1 and figure 8 compare the first seven, table 6 the last three."""


def form_name(features: FeatureConfig, augment: tuple[Symmetry, ...] = ()) -> str:
    """Return the name of a WS-KAN that reads these features: ``"gauge_knots"``, ``"folded_symmetries"``.

    The form of the paper is ``"ws_kan"``.
    """
    parts = [features.form, *(["knots"] if features.knots else []), *(["symmetries"] if augment else [])]
    return "ws_kan" if parts == ["raw"] else "_".join(parts)


def form_label(features: FeatureConfig, augment: tuple[Symmetry, ...] = ()) -> str:
    """Return the label of that WS-KAN: ``"gauge + knots"``."""
    return features.form + (" + knots" if features.knots else "") + (" + symmetries" if augment else "")


FORMS_OF_FEATURES = {
    form_name(features, augment): (features, augment)
    for form in WEIGHT_FORMS
    for features in (FeatureConfig(form=form, knots=False), FeatureConfig(form=form, knots=True))
    for augment in ((), SYMMETRIC)
}
"""The features that WS-KAN may read and the symmetries drawn in training, by the name of the method."""

PROBES = FeatureConfig(form="observed", probes=196)
SCORED = FeatureConfig(form="function", attribution=True)
FULL_METHODS: dict[str, Method] = {
    "weights": Method(label="WS-KAN, weights", model="ws_kan", features=FeatureConfig(form="function"), augment=MOVES),
    "probes": Method(
        label="WS-KAN, probes",
        model="ws_kan",
        features=PROBES,
        augment=MOVES,
        options={"inner_dropout": 0.5},
    ),
    "scores": Method(label="WS-KAN, scores", model="ws_kan", features=SCORED, task="pruning-scores"),
    "probe_gen": Method(label="ProbeGen", model="probe_gen", features=EVALUABLE),
    "image_cnn": Method(label="CNN on the rendered image", model="image_cnn", features=EVALUABLE),
}
"""Methods beyond the paper, compared at scale ``full``."""

IDEAS: dict[str, Method] = {
    **{
        f"{form}_{count}": Method(
            label=f"{form}, {count} probes", model="ws_kan", features=FeatureConfig(form=form, probes=count)
        )
        for form in ("function", "observed")
        for count in (16, 64, 196)
    },
    "observed_moved": Method(label="observed, images moved", model="ws_kan", features=PROBES, augment=MOVES),
    "learned_64": Method(
        label="observed, 64 learned probes", model="ws_kan", features=EVALUABLE, options={"learned_probes": 64}
    ),
    "masks_attribution": Method(label="masks, closed form as a feature", model="ws_kan", features=SCORED),
    "scores_plain": Method(
        label="scores", model="ws_kan", features=FeatureConfig(form="function"), task="pruning-scores"
    ),
}
"""Methods that each test one idea."""

FORM_METHODS: dict[str, Method] = {
    name: Method(label=f"WS-KAN, {form_label(features, augment)}", model="ws_kan", augment=augment, features=features)
    for name, (features, augment) in FORMS_OF_FEATURES.items()
    if name not in PAPER_METHODS
}

METHODS: dict[str, Method] = PAPER_METHODS | FULL_METHODS | IDEAS | FORM_METHODS
"""All methods, by name."""

CURRENT_NAMES = {method.saved_name: name for name, method in METHODS.items() if method.saved_name}
"""Keys of :data:`METHODS` by the names that earlier commands and result files use."""


def saved_name(method: str) -> str:
    """Return the name of a method in paper.json and in names of runs."""
    return METHODS[method].saved_name or method


def paper_row(method: str) -> str:
    """Return the row of paper.json to compare a method with: WS-KAN's for each WS-KAN of scale ``full``."""
    return "ws_kan" if method in ("weights", "probes", "scores") else saved_name(method)
