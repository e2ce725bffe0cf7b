"""The command ``wskan train``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from wskan.graph import FeatureConfig
    from wskan.kan import KANSpec


MODEL_OPTIONS = ("checkpoint_activations", "heads", "inducing", "learned_probes", "side")  # only some models have them


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Train a model on a zoo, or resume an interrupted run. Scores the best epoch on the test split."""

    zoo: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ZOO")]
    """Folder of the zoo, written by `wskan zoo build`."""
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder of the run."""
    model: Literal["ws_kan", "mlp", "dmc", "deep_sets", "set_transformer", "probe_gen", "image_cnn"] = "ws_kan"
    """Model to train."""
    task: str = "auto"
    """inr-classification, frequency-regression, accuracy-prediction, pruning-mask or pruning-scores; auto chooses the
    first whose targets the zoo contains."""
    hidden: int = 128
    """Hidden dimension."""
    num_layers: Annotated[int, tyro.conf.arg(aliases=["--layers"])] = 4
    """Number of layers."""
    dropout: float = 0.2
    """Dropout probability."""
    form: Literal["raw", "folded", "gauge", "function", "observed"] | None = None
    """Description of an edge. raw: its parameters (eq. 5 of the paper). folded: spline weight in the coefficients.
    gauge: folded, with shifts in biases of neurons and fixed signs. function: values and slopes. observed: values at
    the first 24 probes. By default observed with 196 probes for KANs of at most 8 inputs, function for others."""
    probes: int | None = None
    """Number of inputs at which each KAN is evaluated. Its neurons are described by their activations there. 0 uses
    weights only. ProbeGen: number of learned inputs (128)."""
    attribution: bool = False
    """Also describe each edge by its attribution score, which follows from the KAN's own grids. Useful for pruning."""
    knots: bool = False
    """Also describe each neuron by the knots of its grid."""
    epochs: int = 300
    """Passes over the training split."""
    batch_size: int = 128
    """Graphs per step."""
    lr: float = 1e-3
    """Highest learning rate."""
    patience: int = 50
    """Stop after this many epochs without a better validation score; 0 means never."""
    precision: Literal["32", "bf16"] = "32"
    """Precision of training. bf16 is faster if the processor has instructions for it."""
    compile: bool = False
    """Run the model through torch.compile."""
    augment: tuple[Literal["permutation", "scale", "sign", "noise", "affine", "mirror"], ...] = ()
    """Change each training KAN at random each time it is used. permutation reorders hidden neurons. scale and sign are
    symmetries of splines. noise changes each parameter by about 1 %. affine shifts, rotates and scales the image that
    the KAN represents, mirror flips it. Both need probes or form function."""
    checkpoint_activations: bool = False
    """WS-KAN: recompute activations in the backward pass. Needs less memory and more time."""
    heads: int | None = None
    """SetTransformer: attention heads (4)."""
    inducing: int | None = None
    """SetTransformer: inducing points, which make it faster. 0 means attention between all edges, as in the paper
    (0)."""
    learned_probes: int | None = None
    """WS-KAN: evaluate the KANs at this many learned inputs (0)."""
    side: int | None = None
    """ImageCNN: pixels per side (28)."""
    align: Path | None = None
    """Align the KANs first (MergeMany, for the baseline "MLP + Align."). The alignment is stored in this folder. An
    existing one is used again."""
    train_limit: int | None = None
    """Use only the first training KANs, this many."""
    seed: int = 0
    """Random seed of the initial weights, dropout, augmentation and the order of batches."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto uses a GPU if there is one."""
    tensorboard: bool = False
    """Write TensorBoard logs as well (needs the extra 'track')."""

    def run(self) -> None:
        from wskan.align import align_zoo
        from wskan.cli.tables import print_scores
        from wskan.tasks import TrainConfig, train
        from wskan.zoo import open_zoo

        zoo = open_zoo(self.zoo)
        if self.align is not None:
            zoo = align_zoo(zoo, self.align, progress=True)
        training = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(TrainConfig)
            if hasattr(self, field.name)
        }
        given = {name: getattr(self, name) for name in MODEL_OPTIONS}
        options = {name: value for name, value in given.items() if value is not None and value is not False}
        if self.model == "probe_gen" and self.probes is not None:
            options["probes"] = self.probes
        run = train(
            zoo,
            self.folder,
            task=self.task,
            model=self.model,
            features=self._features(zoo.spec),
            train_limit=self.train_limit,
            device=self.device,
            progress=True,
            tensorboard=self.tensorboard,
            hidden=self.hidden,
            num_layers=self.num_layers,
            dropout=self.dropout,
            **training,
            **options,
        )
        print_scores({self.model: run.record})

    def _features(self, spec: KANSpec) -> FeatureConfig:
        """Choose the features. Options that are not given are those recommended for the model."""
        from wskan.graph import EVALUABLE, FeatureConfig
        from wskan.tasks import default_features

        default = default_features(self.model, spec, {"learned_probes": self.learned_probes})
        if default == EVALUABLE:
            return default
        if self.form is not None:
            default = FeatureConfig(probes=self.probes or 196)
        probes = self.probes if self.probes is not None else default.probes if self.form in (None, "observed") else 0
        form = self.form or (default.form if probes else "function")
        return FeatureConfig(form=form, knots=self.knots, attribution=self.attribution, probes=probes)
