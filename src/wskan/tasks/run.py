"""A finished training run: its model, predictions and pruning."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import KANSpec, Population, from_pykan
from wskan.kan.edges import unflatten_edges
from wskan.models import MetaNetwork
from wskan.tasks.config import Precision, check_precision
from wskan.tasks.evaluation import evaluate, graphs_per_batch, predict
from wskan.tasks.pruning import Pruning, best_edges
from wskan.tasks.task import Task
from wskan.zoo import Recipe, Zoo, open_zoo


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A finished training run; :func:`wskan.open_run` opens one.

    Its folder contains ``run.json``, ``model/`` and ``logs/``.

    Attributes:
        folder: folder of the run.
        model: model of the best epoch on the validation split, in evaluation mode.
        task: task of the training, with the values that were chosen on the validation split.
        features: features that the model reads.
        record: the content of ``run.json``: the arguments of the training (``asked``), ``calibration`` of the task,
            ``val`` and ``test`` metrics, seconds, epochs, counts.

    Example:
        >>> import wskan
        >>> run = wskan.open_run("runs/masks")  # doctest: +SKIP
        >>> pruned = run.prune(model, share=0.3)  # a model of pykan, or a population  # doctest: +SKIP
    """

    folder: Path
    model: MetaNetwork
    task: Task
    features: FeatureConfig
    record: dict[str, Any]

    def __repr__(self) -> str:
        """Return folder, model, task and test scores in one line."""
        scores = ", ".join(f"{name} {value:.4g}" for name, value in self.record["test"].items())
        return f"Run({str(self.folder)!r}, {self.model.config.model} for {self.task.name}, test: {scores})"

    def check(self, spec: KANSpec) -> None:
        """Raise if the features of such KANs have another meaning than in training.

        Raises:
            DataError: see :meth:`wskan.graph.FeatureConfig.compatibility_key`.
        """
        trained = self.record["asked"].get("spec")
        key = self.features.compatibility_key
        if trained is not None and key(KANSpec.from_dict(trained)) != key(spec):
            raise DataError(
                f"{self.folder} was trained on KANs with {trained}, these have {spec.to_dict()}: their features mean "
                "different things (a model trained with form function accepts both)"
            )

    def check_unseen(self, zoo: Zoo, split: str) -> None:
        """Raise if KANs of a split were used in training.

        Classifier zoos of one seed contain the same KANs, index by index, whatever their size.

        Raises:
            DataError: some KANs of the split are among the training or validation KANs of this run.
        """
        recipe = self.record.get("recipe")
        trained = None if recipe is None else Recipe.from_dict(recipe)
        if trained is None or trained.classifier is None or zoo.recipe.classifier is None:
            return
        if zoo.digest in (trained.digest, self.record["asked"].get("zoo")):  # the same zoo, aligned or not
            return
        index = zoo.columns["index"][zoo.split(split)]
        seen = int((index < trained.train + trained.val).sum())
        same_kans = all(getattr(trained, name) == getattr(zoo.recipe, name) for name in ("seed", "dataset", "spec"))
        if seen and same_kans:
            raise DataError(
                f"{seen:,} of the {len(index):,} {split} KANs of {zoo.folder} were used to train or choose "
                f"{self.folder}: classifiers of one seed are the same in every zoo; build the zoo with another --seed"
            )

    def evaluate(self, zoo: Zoo | Path | str, *, split: str = "test") -> dict[str, float]:
        """Score the model on a split of a zoo, its own or another.

        Args:
            zoo: the zoo, or its folder. A run on aligned KANs needs the same zoo, aligned with
                :func:`wskan.align.align_zoo`.
            split: ``"train"``, ``"val"`` or ``"test"``.

        Returns:
            The metrics of the task, and its loss.

        Raises:
            DataError: the features of the zoo's KANs have another meaning than in training, or some KANs of the split
                were used in training. Also if the model was trained on aligned KANs of another zoo.
            ShapeError: the graphs of the zoo do not fit the model.
        """
        if isinstance(zoo, Population):
            raise DataError("evaluate needs a zoo or its folder, which has targets; for KANs use predict")
        zoo = open_zoo(zoo) if isinstance(zoo, Path | str) else zoo
        self.check(zoo.spec)
        if self.record.get("aligned") and not (zoo.aligned and zoo.digest == self.record["asked"].get("zoo")):
            raise DataError(
                f"{self.folder} was trained on aligned KANs: name the same zoo and the folder of its alignment "
                "(`wskan evaluate --align`)"
            )
        self.check_unseen(zoo, split)
        return evaluate(self.model, zoo, self.task, self.features, split=split)

    def predict(self, kans: Population | Any, *, precision: Precision = "32") -> Tensor:
        """Predict the targets of the task for KANs of your own, from their weights alone.

        Args:
            kans: K KANs like those of the training, or one model of pykan (see :func:`wskan.kan.from_pykan`).
            precision: ``"bf16"`` takes at most half of the time if the processor has instructions for it. Its results
                have about three significant digits.

        Returns:
            Predictions on the device of the model, in the units of the targets. They depend on the task:

            - ``inr-classification``: logits of the classes, ``[K, 10]``.
            - ``frequency-regression``: frequencies, ``[K, 2]``, in radians per unit of length.
            - ``accuracy-prediction``: accuracies as fractions, ``[K, 1]``, not clipped to [0, 1].
            - ``pruning-mask``: logits of keeping each edge, ``[K, E]``.
            - ``pruning-scores``: natural logarithms of the score of each edge, ``[K, E]``.

            Edges are in the order of :func:`wskan.kan.edges.flatten_edges`.

        Raises:
            DataError: unknown precision, KANs that are not finite, features that have another meaning than in training,
                or a run on aligned KANs.
            ShapeError: there are no KANs, or their shape does not fit the model.

        Example:
            >>> import tempfile, wskan
            >>> from wskan.testing import FakeZoo, random_population
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     run = wskan.train(FakeZoo((2, 4, 1)), folder, hidden=8, num_layers=1, epochs=1, device="cpu")
            >>> run.predict(random_population((2, 4, 1), size=3, seed=0)).shape
            torch.Size([3, 10])
        """
        population = as_population(kans)
        check_precision(precision)
        self.check(population.spec)
        if self.record.get("aligned"):
            raise DataError(
                f"{self.folder} was trained on aligned KANs and cannot be applied to others "
                "(`wskan evaluate --align` reads a zoo of aligned KANs)"
            )
        if len(population) == 0:
            raise ShapeError("there are no KANs; pass at least one")
        population.check_finite()
        device, step = next(self.model.parameters()).device, graphs_per_batch(population.spec)
        parts = (population[begin : begin + step] for begin in range(0, len(population), step))
        graphs = (kan_graph(part.to(device).to(torch.float32), self.features) for part in parts)
        outputs, _ = predict(self.model, ((graph, torch.empty(len(graph))) for graph in graphs), precision)
        if broken := (~outputs.isfinite().flatten(1).all(1)).nonzero().squeeze(1).tolist():
            raise DataError(
                f"the outputs of {self.folder} are not finite for KANs {broken[:5]}: "
                "their parameters are much larger than in training"
            )
        return self.task.decode(outputs)

    def prune(self, kans: Population | Any, *, share: float | None = None, precision: Precision = "32") -> Population:
        """Prune KANs without data, by one forward pass of the model (paper, section 5.3).

        Warns if an output becomes constant because no path of edges connects it to an input any more.

        Args:
            kans: K KANs like those of the training, or one model of pykan.
            share: fraction of its edges that each KAN keeps, in [0, 1]. The edges with the highest scores are kept. If
                not given, edges are kept whose score is above the threshold that was chosen on the validation split.
            precision: see :meth:`predict`.

        Returns:
            Copies of the KANs with smaller masks.

        Raises:
            DataError: the task of the run is not pruning, the share is not in [0, 1], or see :meth:`predict`.
            ShapeError: see :meth:`predict`.
        """
        if not isinstance(self.task, Pruning):
            raise DataError(
                f"the run in {self.folder} was trained for {self.task.name}, not for pruning: "
                "`wskan train --task pruning-mask` or `--task pruning-scores`"
            )
        if share is not None and not 0 <= share <= 1:
            raise DataError(f"share must be in [0, 1], got {share}")
        population = as_population(kans)
        score = self.predict(population, precision=precision)
        keep = self.task.keep(score) if share is None else best_edges(score, population, share)
        pruned = population.prune(unflatten_edges(keep, population.spec.widths))
        cut = population.connected_outputs() & ~pruned.connected_outputs()  # [K, out]
        if affected := cut.any(1).nonzero().squeeze(1).tolist():
            warnings.warn(
                f"{len(affected)} of {len(pruned)} KANs have outputs that are constant now, "
                f"{int(cut.sum()) / len(affected):.1f} of {cut.shape[1]} on average: "
                f"KANs {affected[:5]}{' ...' if len(affected) > 5 else ''}; keep more of their edges, with share",
                stacklevel=2,
            )
        return pruned


def as_population(kans: Population | Any) -> Population:
    """Return a population unchanged, and convert a model of pykan.

    Raises:
        DataError: the argument is neither.
    """
    return kans if isinstance(kans, Population) else from_pykan(kans)
