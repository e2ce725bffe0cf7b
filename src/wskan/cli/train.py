"""``wskan train``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

if TYPE_CHECKING:
    from wskan.graph import FeatureConfig
    from wskan.kan import KANSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Train a model on a zoo, or go on with a run that was interrupted. Scores the best epoch's model on the test split."""

    zoo: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ZOO")]
    """The zoo, as `wskan zoo build` made it."""
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Where the run is kept."""
    model: Literal["ws_kan", "mlp", "dmc", "deep_sets", "set_transformer", "probe_gen", "image_cnn"] = "ws_kan"
    """Which model."""
    task: str = "auto"
    """inr-classification, frequency-regression, accuracy-prediction, pruning-mask, pruning-scores, or auto: the first of them that the zoo has facts for."""
    hidden: int = 128
    """Hidden dimension."""
    layers: int = 4
    """Layers."""
    dropout: float = 0.2
    """Dropout probability."""
    form: Literal["raw", "folded", "gauge", "function", "observed"] | None = None
    """How an edge is described: raw (eq. 5 of the paper), folded (spline weight in the coefficients), gauge (folded, shifts in biases of neurons, signs fixed), function (values and
    slopes), or observed (values at the first 24 probes). If not given: observed with 196 probes for KANs of at most 8 inputs, function for others."""
    probes: int | None = None
    """Number of inputs at which each KAN is evaluated; its neurons are described by their activations there. 0 reads weights only. ProbeGen: number of learned inputs (128)."""
    attribution: bool = False
    """Describe each edge also by its attribution score, which follows from the KAN's own grids: for pruning."""
    knots: bool = False
    """Give the knots of each neuron's grid to the model as node features."""
    epochs: int = 300
    """Passes over the training split."""
    batch_size: int = 128
    """Graphs a step."""
    lr: float = 1e-3
    """Highest learning rate."""
    patience: int = 50
    """Stop after this many epochs without a better validation score; 0 for never."""
    precision: Literal["32", "bf16"] = "32"
    """bf16 is faster where the processor has instructions for it."""
    compile: bool = False
    """Run the model through torch.compile."""
    augment: tuple[Literal["permutation", "scale", "sign", "noise", "affine", "mirror"], ...] = ()
    """Give each training KAN other weights for the same function each time it is seen: permutation reorders hidden neurons, scale and sign are symmetries of splines, noise
    (1 % on each parameter) is none. affine shifts, rotates and scales the image that the KAN represents, mirror flips it from left to right: with probes, or form function."""
    checkpoint_activations: bool = False
    """WS-KAN: less memory, more time."""
    heads: int | None = None
    """SetTransformer: attention heads (4)."""
    inducing: int | None = None
    """SetTransformer: inducing points, which make it fast; 0 for attention between all edges, as in the paper (0)."""
    learned_probes: int | None = None
    """WS-KAN: read what the KANs do at so many learned inputs (0)."""
    side: int | None = None
    """ImageCNN: pixels per side (28)."""
    align: Path | None = None
    """Align the KANs first (MergeMany, as the baseline "MLP + Align."); the alignment is kept in this folder, and used if it is there."""
    train_limit: int | None = None
    """Use only the first so many training KANs."""
    seed: int = 0
    """Of initial weights, dropout, augmentation and the order of batches."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU if there is one."""
    tensorboard: bool = False
    """Write TensorBoard logs, too (needs the extra 'track')."""

    def run(self) -> None:
        from wskan.align import align_zoo
        from wskan.cli.tables import print_scores
        from wskan.errors import DataError
        from wskan.models import MODELS
        from wskan.tasks import TrainConfig, get_task, train
        from wskan.zoo import open_zoo

        zoo = open_zoo(self.zoo)
        if self.align is not None:
            zoo = align_zoo(zoo, self.align, progress=True)
        task, features = get_task(self.task, zoo), self._features(zoo.spec)
        config_cls, given = MODELS[self.model][1], self._given()
        if unknown := sorted(given.keys() - {field.name for field in dataclasses.fields(config_cls)}):
            raise DataError(f"model {self.model} has no {' and no '.join(unknown)}")
        model = config_cls(
            model=self.model,
            widths=zoo.spec.widths,
            edge_dim=features.edge_dim(zoo.spec),
            node_dim=features.node_dim(zoo.spec),
            bias_dim=features.bias_dim,
            out_dim=task.out_dim,
            readout=task.readout,
            hidden=self.hidden,
            num_layers=self.layers,
            dropout=self.dropout,
            **given,
            **config_cls.fields_of(zoo.spec),
        )
        names = {field.name for field in dataclasses.fields(TrainConfig)}
        config = TrainConfig(**{name: value for name, value in vars(self).items() if name in names})
        run = train(
            zoo, task, model, config, self.folder,
            features=features, train_limit=self.train_limit, device=self.device, progress=True, tensorboard=self.tensorboard,
        )  # fmt: skip
        print_scores({self.model: run.record})

    def _features(self, spec: KANSpec) -> FeatureConfig:
        """Choose what describes a KAN: what was asked for, what the model can evaluate, or what is learned from best."""
        from wskan.graph import EVALUABLE, FeatureConfig

        if self.model in ("probe_gen", "image_cnn") or self.learned_probes:
            return EVALUABLE
        default = FeatureConfig.recommended(spec) if self.form is None else FeatureConfig(probes=self.probes or 196)
        probes = self.probes if self.probes is not None else default.probes if self.form in (None, "observed") else 0
        form = self.form or (default.form if probes else "function")
        return FeatureConfig(form=form, knots=self.knots, attribution=self.attribution, probes=probes)

    def _given(self) -> dict[str, Any]:
        """List those options asked for that only some models have."""
        names = ("checkpoint_activations", "heads", "inducing", "learned_probes", "side")
        options = {name: getattr(self, name) for name in names}
        if self.model == "probe_gen":
            options["probes"] = self.probes
        return {name: value for name, value in options.items() if value is not None and value is not False}
