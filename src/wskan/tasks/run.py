"""A training run in a folder: what was asked for, what came out."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError, reason
from wskan.files import empty, write_atomically
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import KANSpec, Population
from wskan.models import MetaNetwork, load_model
from wskan.reading import check, number, read_bytes, read_json, shown, whole
from wskan.tasks.config import Precision, TrainConfig, check_precision
from wskan.tasks.evaluation import graphs_at_once, predict
from wskan.tasks.registry import get_task
from wskan.tasks.task import Task
from wskan.zoo import Recipe, Zoo

MAX_RECORD, MAX_LOG = 2**20, 4 * 2**20  # bytes


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A finished training run, as its folder keeps it in ``run.json``, ``model/`` and ``logs/``.

    Attributes:
        folder: where it lies.
        model: the model of the best epoch on the validation split, in evaluation mode.
        task: what it was trained for, with what was chosen on the validation split.
        features: what it reads.
        record: everything in ``run.json``: what was asked for, ``calibration`` of the task, ``val`` and ``test`` metrics, seconds, epochs, counts.
    """

    folder: Path
    model: MetaNetwork
    task: Task
    features: FeatureConfig
    record: dict[str, Any]

    def check(self, spec: KANSpec) -> None:
        """Refuse KANs whose features mean something else than those of the KANs that it was trained on (:meth:`wskan.graph.FeatureConfig.meaning`).

        Raises:
            DataError: such KANs.
        """
        own = self.record["asked"].get("spec")
        if own is not None and self.features.meaning(KANSpec.from_dict(own)) != self.features.meaning(spec):
            raise DataError(
                f"{self.folder} was trained on KANs with {own}, these have {spec.to_dict()}: their features mean different things (train with form function for any)"
            )

    def check_unseen(self, zoo: Zoo, split: str) -> None:
        """Refuse to be scored on KANs that it knows: classifiers of one seed are the same KANs, index by index, in zoos of whatever counts.

        Raises:
            DataError: some of the split are among those that it was trained on, or its best epoch chosen by.
        """
        recipe = self.record.get("recipe")
        own = None if recipe is None else Recipe.from_dict(recipe)
        if own is None or own.classifier is None or zoo.recipe.classifier is None:
            return
        if zoo.digest in (own.digest, self.record["asked"].get("zoo")):  # its own, as it is or aligned
            return
        index = zoo.columns["index"][zoo.split(split)]
        known = int((index < own.train + own.val).sum())
        if known and (own.seed, own.dataset, own.spec) == (zoo.recipe.seed, zoo.recipe.dataset, zoo.recipe.spec):
            raise DataError(
                f"{known:,} of the {len(index):,} {split} KANs of {zoo.folder} are among those that {self.folder} was trained or chosen on: "
                "classifiers of one seed are the same in every zoo; build it with another --seed"
            )

    def predict(self, population: Population, *, precision: Precision = "32") -> Tensor:
        """What the run's task asks for, of KANs of one's own, without data.

        These are their accuracies as fractions, ``[K, 1]``, which are not cut to [0, 1]; the logits of edges to keep, or the
        logarithms of their scores, ``[K, E]``, edges in the order of :func:`wskan.kan.edges.join_edges`; frequencies, ``[K, 2]``; logits of classes, ``[K, 10]``.

        Args:
            population: K KANs like those that the model was trained on; one of pykan's comes from :func:`wskan.kan.from_pykan`.
            precision: ``"bf16"`` takes half of the time or less where the processor has instructions for it, for answers of about three digits.

        Raises:
            DataError: an unknown precision; KANs that are not finite, or whose features mean something else than those that the run knows; a run that knows aligned KANs only.
            ShapeError: no KANs, or such as the model cannot take.
        """
        if not isinstance(population, Population):
            raise DataError(
                f"need a wskan.kan.Population, got {type(population).__name__}; wskan.kan.from_pykan makes one of a model of pykan"
            )
        check_precision(precision)
        self.check(population.spec)
        if self.record.get("aligned"):
            raise DataError(
                f"{self.folder} was trained on KANs that were aligned to a reference, and knows no others (`wskan evaluate --align` reads a zoo of such)"
            )
        if len(population) == 0:
            raise ShapeError("no KANs to predict anything of")
        population.check_finite()
        device, step = next(self.model.parameters()).device, graphs_at_once(population.spec)
        parts = (population[begin : begin + step] for begin in range(0, len(population), step))
        graphs = (kan_graph(part.to(device).to(torch.float32), self.features) for part in parts)
        outputs, _ = predict(self.model, ((graph, torch.empty(len(graph))) for graph in graphs), precision)
        if broken := (~outputs.isfinite().flatten(1).all(1)).nonzero().squeeze(1).tolist():
            raise DataError(
                f"the model of {self.folder} gives no finite answer for KANs {broken[:5]}: their parameters are far larger than those that it was trained on"
            )
        return self.task.decode(outputs)


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
    """What tables and pictures take from the record."""
    path = folder / "run.json"
    figures = {
        name: record.get(name, 0 if name == "epochs" else None) for name in ("parameters", "train_seconds", "epochs")
    }
    for split in ("val", "test"):
        check(record.get(split), {task.monitor: float, str: float}, f"{path}: {split}")
    for name, figure in figures.items():
        number(figure, f"{path}: {name}", 0, 1e12)


def finished_run(folder: Path, asked: dict[str, Any]) -> Run | None:
    """The run that was asked for, if it is finished already.

    Raises:
        DataError: the folder holds another run, or something else.
    """
    if "::" in str(folder.absolute()) or "://" in str(folder.absolute()):
        raise DataError(f"{folder}: Lightning takes a path with :: or :// for an address; choose another folder")
    record, asked = read_record(folder), json.loads(json.dumps(asked))
    if record is None:
        if not empty(folder):
            raise DataError(f"{folder} is not empty and holds no training run; choose another folder")
        return None
    recorded = dict(record["asked"])
    if isinstance(
        recorded.get("train"), dict
    ):  # runs of earlier versions go on: what they could not be asked for is off
        recorded["train"] = TrainConfig().to_dict() | recorded["train"]
    if different := sorted(key for key in {*asked, *recorded} if recorded.get(key) != asked.get(key)):
        raise DataError(f"{folder} holds a run with another {' and '.join(different)}; choose another folder")
    return open_run(folder) if record.get("finished") else None


def read_record(folder: Path) -> dict[str, Any] | None:
    """``run.json``, or None if there is none.

    Raises:
        DataError: it is not what :func:`write_record` writes.
    """
    path = folder / "run.json"
    if not path.exists():
        return None
    record = read_json(path, MAX_RECORD, "train in another folder", infinite=True)  # a metric may be NaN
    if not isinstance(record, dict) or not isinstance(record.get("asked"), dict):
        raise DataError(f"{path}: not the record of a training run; train in another folder")
    return record


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write ``run.json``, at once or not at all."""
    text = json.dumps(record, indent=1)
    write_atomically(folder / "run.json", lambda path: path.write_text(text))


def learning_curve(folder: Path | str) -> list[dict[str, float]]:
    """One row an epoch, from Lightning's logs: ``epoch``, ``seconds``, ``train_*`` and ``val_*``.

    Each continuation of a run has a log of its own; where they overlap, the later one counts. What is not finite, as the loss of a training that diverged, is left out.

    Raises:
        DataError: a log that is too large or damaged. A last line that a killed process left unfinished is left out.
    """
    rows: dict[int, dict[str, float]] = {}
    for path in sorted(Path(folder).glob("logs/*/metrics.csv"), key=lambda path: path.stat().st_mtime):
        for row in _log(path):
            rows.setdefault(int(row["epoch"]), {}).update(row)
    return [rows[epoch] for epoch in sorted(rows)]


def _log(path: Path) -> list[dict[str, float]]:
    """Rows of one log: columns by name, empty ones left out; every row has an epoch."""
    data = read_bytes(path, MAX_LOG, "delete it")
    if (
        data.count(b"\n") > MAX_LOG // 16 or data.count(b",") > MAX_LOG // 4
    ):  # each takes many times its bytes in memory
        raise DataError(f"{path}: has too many lines or columns for a learning curve; delete it")
    lines = data.decode(errors="replace").split("\n")[:-1]  # the last was not finished
    names, rows = lines[0].strip().split(",") if lines else [], []
    for place, line in enumerate(lines[1:], start=2):
        cells = line.rstrip("\r").split(",")
        try:
            figures = ((name, float(cell)) for name, cell in zip(names, cells, strict=True) if cell)
            row = {name: figure for name, figure in figures if math.isfinite(figure)}
            whole(int(row["epoch"]), "epoch", 0, 2**32)
        except (ValueError, KeyError, OverflowError) as error:
            raise DataError(f"{path}: line {place} is not one of a learning curve: {shown(line)}; delete it") from error
        rows.append(row)
    return rows
