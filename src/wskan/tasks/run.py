"""A training run in a folder: what was asked for, what came out."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

from wskan.errors import DataError
from wskan.files import empty, write_atomically
from wskan.graph import FeatureConfig
from wskan.kan import KANSpec
from wskan.models import MetaNetwork, load_model
from wskan.tasks.config import TrainConfig
from wskan.tasks.registry import get_task
from wskan.tasks.task import Task

MAX_RECORD = 2**20


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


def open_run(folder: Path | str) -> Run:
    """Open a finished run.

    Raises:
        DataError: it is missing, unfinished or damaged.
    """
    folder = Path(folder)
    record = read_record(folder)
    if record is None or not record.get("finished"):
        raise DataError(f"{folder} holds no finished training run; start or continue one with `wskan train`")
    return Run(
        folder=folder,
        model=load_model(folder / "model"),
        task=_task(folder, record),
        features=FeatureConfig.from_dict(record["asked"].get("features", {})),
        record=record,
    )


def _task(folder: Path, record: dict[str, Any]) -> Task:
    task, calibration = get_task(str(record["asked"].get("task"))), record.get("calibration", {})
    try:
        return dataclasses.replace(task, **calibration)
    except (TypeError, DataError) as error:
        raise DataError(f"{folder}: malformed calibration {calibration!r:.200} of {task.name} ({error})") from error


def begin_run(folder: Path, asked: dict[str, Any]) -> Run | None:
    """Note what is asked for; the run if it is finished already.

    Raises:
        DataError: the folder holds another run, or something else.
    """
    record, asked = read_record(folder), json.loads(json.dumps(asked))
    if record is None:
        if not empty(folder):
            raise DataError(f"{folder} is not empty and holds no training run; choose another folder")
        write_record(folder, {"finished": False, "asked": asked})
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
    try:
        if not path.exists():
            return None
        size = path.stat().st_size
        record = json.loads(path.read_text()) if size <= MAX_RECORD else None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not isinstance(record, dict) or not isinstance(record.get("asked"), dict):
        raise DataError(f"{path}: not the record of a training run")
    return record


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write ``run.json``, at once or not at all."""
    text = json.dumps(record, indent=1)
    write_atomically(folder / "run.json", lambda path: path.write_text(text))


def learning_curve(folder: Path | str) -> list[dict[str, float]]:
    """One row an epoch, from Lightning's logs: ``epoch``, ``seconds``, ``train_*`` and ``val_*``.

    Each continuation of a run has a log of its own; where they overlap, the later one counts.
    """
    rows: dict[int, dict[str, float]] = {}
    for path in sorted(Path(folder).glob("logs/**/metrics.csv"), key=lambda path: path.stat().st_mtime):
        with path.open() as file:
            for row in csv.DictReader(file):
                rows.setdefault(int(row["epoch"]), {}).update(
                    {name: float(value) for name, value in row.items() if value}
                )
    return [rows[epoch] for epoch in sorted(rows)]
