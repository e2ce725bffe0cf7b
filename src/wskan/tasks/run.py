"""A training run in a folder: what was asked for, and the result."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError, reason
from wskan.files import is_empty_folder
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import KANSpec, Population, from_pykan
from wskan.kan.edges import unflatten_edges
from wskan.models import MetaNetwork, load_model
from wskan.reading import check, number, shown
from wskan.tasks.config import Precision, TrainConfig, check_precision
from wskan.tasks.evaluation import evaluate, graphs_per_batch, predict
from wskan.tasks.pruning import Pruning, best_edges
from wskan.tasks.record import read_record
from wskan.tasks.registry import get_task
from wskan.tasks.task import Task
from wskan.zoo import Recipe, Zoo, open_zoo


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A finished training run, as its folder keeps it in ``run.json``, ``model/`` and ``logs/``.

    Attributes:
        folder: where it lies.
        model: the model of the best epoch on the validation split, in evaluation mode.
        task: what the model was trained for, with the values that were chosen on the validation split.
        features: what the model reads.
        record: everything in ``run.json``: the arguments of the training, ``calibration`` of the task, ``val`` and
            ``test`` metrics, seconds, epochs, counts.

    Example:
        >>> import wskan
        >>> run = wskan.open_run("runs/masks")  # doctest: +SKIP
        >>> pruned = run.prune(wskan.from_pykan(model), share=0.3)  # doctest: +SKIP
    """

    folder: Path
    model: MetaNetwork
    task: Task
    features: FeatureConfig
    record: dict[str, Any]

    def check(self, spec: KANSpec) -> None:
        """Raise if features of such KANs have another meaning than those of the KANs of the training.

        Raises:
            DataError: see :meth:`wskan.graph.FeatureConfig.compatibility_key`.
        """
        own = self.record["asked"].get("spec")
        key = self.features.compatibility_key
        if own is not None and key(KANSpec.from_dict(own)) != key(spec):
            raise DataError(
                f"{self.folder} was trained on KANs with {own}, these have {spec.to_dict()}: their features mean "
                "different things (train with form function for any)"
            )

    def check_unseen(self, zoo: Zoo, split: str) -> None:
        """Raise if KANs of a split were used in training.

        Classifier zoos of one seed contain the same KANs, index by index, whatever their size.

        Raises:
            DataError: some KANs of the split are among the training or validation KANs of this run.
        """
        recipe = self.record.get("recipe")
        own = None if recipe is None else Recipe.from_dict(recipe)
        if own is None or own.classifier is None or zoo.recipe.classifier is None:
            return
        if zoo.digest in (own.digest, self.record["asked"].get("zoo")):  # the same zoo, as it is or aligned
            return
        index = zoo.columns["index"][zoo.split(split)]
        seen = int((index < own.train + own.val).sum())
        if seen and (own.seed, own.dataset, own.spec) == (zoo.recipe.seed, zoo.recipe.dataset, zoo.recipe.spec):
            raise DataError(
                f"{seen:,} of the {len(index):,} {split} KANs of {zoo.folder} were used to train or choose "
                f"{self.folder}: classifiers of one seed are the same in every zoo; build it with another --seed"
            )

    def evaluate(self, zoo: Zoo | Path | str, *, split: str = "test") -> dict[str, float]:
        """Score the model on a split of a zoo, its own or another.

        Args:
            zoo: the zoo, or its folder. For a run on aligned KANs, the same zoo, aligned (:func:`wskan.align.align_zoo`).
            split: ``"train"``, ``"val"`` or ``"test"``.

        Returns:
            The metrics of the task, and its loss.

        Raises:
            DataError: the features of the zoo's KANs mean something else, the model was trained on aligned KANs of
                another zoo, or some KANs of the split were used in training.
            ShapeError: the graphs of the zoo do not fit the model.
        """
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
        """Predict what the task of the run is about, from the weights of KANs of your own. No data is needed.

        Args:
            kans: K KANs like those of the training, or one model of pykan (see :func:`wskan.kan.from_pykan`).
            precision: ``"bf16"`` takes half of the time or less where the processor has instructions for it. Its answers
                have about three digits.

        Returns:
            Depending on the task: accuracies as fractions, ``[K, 1]``, which are not clipped to [0, 1]; logits of edges
            to keep, or the logarithms of their scores, ``[K, E]``, with edges in the order of
            :func:`wskan.kan.edges.flatten_edges`; frequencies, ``[K, 2]``; logits of classes, ``[K, 10]``.

        Raises:
            DataError: an unknown precision, KANs that are not finite, features that mean something else than in
                training, or a run on aligned KANs.
            ShapeError: there are no KANs, or their shape does not fit the model.
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
            raise ShapeError("there are no KANs to predict anything of")
        population.check_finite()
        device, step = next(self.model.parameters()).device, graphs_per_batch(population.spec)
        parts = (population[begin : begin + step] for begin in range(0, len(population), step))
        graphs = (kan_graph(part.to(device).to(torch.float32), self.features) for part in parts)
        outputs, _ = predict(self.model, ((graph, torch.empty(len(graph))) for graph in graphs), precision)
        if broken := (~outputs.isfinite().flatten(1).all(1)).nonzero().squeeze(1).tolist():
            raise DataError(
                f"the outputs of {self.folder} are not finite for KANs {broken[:5]}: "
                "their parameters are far larger than in training"
            )
        return self.task.decode(outputs)

    def prune(self, kans: Population | Any, *, share: float | None = None, precision: Precision = "32") -> Population:
        """Prune KANs without data, by one forward pass of the model (paper, section 5.3).

        Warns of outputs that no path of edges joins to an input any more: they become constant.

        Args:
            kans: K KANs like those of the training, or one model of pykan.
            share: fraction of the existing edges that each KAN keeps, in [0, 1]: those that the model scores highest.
                If not given, edges are kept whose score is above the threshold that was chosen on the validation KANs.
            precision: see :meth:`predict`.

        Returns:
            Copies of the KANs with smaller masks.

        Raises:
            DataError: the run is of another task than pruning, the share is not in [0, 1], or see :meth:`predict`.
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
        if lost := cut.any(1).nonzero().squeeze(1).tolist():
            warnings.warn(
                f"{len(lost)} of {len(pruned)} KANs have outputs that are constant now, "
                f"{int(cut.sum()) / len(lost):.1f} of {cut.shape[1]} on average: "
                f"KANs {lost[:5]}{' ...' if len(lost) > 5 else ''}; keep more of their edges, with share",
                stacklevel=2,
            )
        return pruned


def as_population(kans: Population | Any) -> Population:
    """Take a population as it is, and convert a model of pykan.

    Raises:
        DataError: it is neither.
    """
    return kans if isinstance(kans, Population) else from_pykan(kans)


def open_run(folder: Path | str) -> Run:
    """Open a finished run.

    Raises:
        DataError: it is missing, unfinished or damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; name that of a training run")
    record = read_record(folder)
    if record is None or not record.get("finished"):
        raise DataError(f"{folder} holds no finished training run; start or continue one with `wskan train`")
    task = _task(folder, record)
    _check_figures(folder, record, task)
    return Run(
        folder=folder,
        model=load_model(folder / "model"),
        task=task,
        features=FeatureConfig.from_dict(record["asked"].get("features", {})),
        record=record,
    )


def _task(folder: Path, record: dict[str, Any]) -> Task:
    task, calibration = get_task(str(record["asked"].get("task"))), record.get("calibration", {})
    try:
        return dataclasses.replace(task, **calibration)
    except (TypeError, DataError) as error:
        raise DataError(
            f"{folder}: malformed calibration {shown(calibration)} of {task.name} ({reason(error)})"
        ) from error


def _check_figures(folder: Path, record: dict[str, Any], task: Task) -> None:
    """Check the figures that tables and pictures take from the record."""
    path = folder / "run.json"
    figures = {
        name: record.get(name, 0 if name == "epochs" else None) for name in ("parameters", "train_seconds", "epochs")
    }
    for split in ("val", "test"):
        check(record.get(split), {task.monitor: float, str: float}, f"{path}: {split}")
    for name, figure in figures.items():
        number(figure, f"{path}: {name}", 0, 1e12)


def finished_run(folder: Path, asked: dict[str, Any]) -> Run | None:
    """Open the run that was asked for, if it is finished already.

    Raises:
        DataError: the folder holds another run, or no run at all.
    """
    if "::" in str(folder.absolute()) or "://" in str(folder.absolute()):
        raise DataError(f"{folder}: Lightning takes a path with :: or :// for an address; choose another folder")
    record, asked = read_record(folder), json.loads(json.dumps(asked))
    if record is None:
        if not is_empty_folder(folder):
            raise DataError(f"{folder} is not empty and holds no training run; choose another folder")
        return None
    recorded = dict(record["asked"])
    if isinstance(recorded.get("train"), dict):  # options that earlier versions did not have are off
        recorded["train"] = TrainConfig().to_dict() | recorded["train"]
    if different := sorted(key for key in {*asked, *recorded} if recorded.get(key) != asked.get(key)):
        raise DataError(f"{folder} holds a run with another {' and '.join(different)}; choose another folder")
    return open_run(folder) if record.get("finished") else None
