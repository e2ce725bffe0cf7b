"""Opening a finished run from its folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from wskan.errors import DataError, reason
from wskan.files import is_empty_folder
from wskan.graph import FeatureConfig
from wskan.models import load_model
from wskan.reading import check, number, shown
from wskan.tasks.config import TrainConfig
from wskan.tasks.record import read_record
from wskan.tasks.registry import get_task
from wskan.tasks.run import Run
from wskan.tasks.task import Task


def open_run(folder: Path | str) -> Run:
    """Open a finished run.

    Raises:
        DataError: the run is missing, unfinished or damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; name the folder of a training run")
    record = read_record(folder)
    if record is None or not record.get("finished"):
        raise DataError(f"{folder} contains no finished training run; start or resume one with `wskan train`")
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
    """Check the numbers of the record that tables and figures use."""
    path = folder / "run.json"
    for split in ("val", "test"):
        check(record.get(split), {task.monitor: float, str: float}, f"{path}: {split}")
    for name, default in (("parameters", None), ("train_seconds", None), ("epochs", 0)):
        number(record.get(name, default), f"{path}: {name}", 0, 1e12)


def finished_run(folder: Path, asked: dict[str, Any]) -> Run | None:
    """Open the run in a folder if it is finished, and return None if it is unfinished or not started.

    Args:
        folder: folder of the run.
        asked: arguments of the training, as JSON types.

    Raises:
        DataError: the folder contains a run with other arguments, or other files.
    """
    if "::" in str(folder.absolute()) or "://" in str(folder.absolute()):
        raise DataError(f"{folder}: Lightning treats a path with :: or :// as a URL; choose another folder")
    record, asked = read_record(folder), json.loads(json.dumps(asked))
    if record is None:
        if not is_empty_folder(folder):
            raise DataError(f"{folder} is not empty and contains no training run; choose another folder")
        return None
    recorded = dict(record["asked"])
    if isinstance(recorded.get("train"), dict):  # options that earlier versions did not have are at their defaults
        recorded["train"] = TrainConfig().to_dict() | recorded["train"]
    if different := sorted(key for key in {*asked, *recorded} if recorded.get(key) != asked.get(key)):
        raise DataError(f"{folder} contains a run with another {' and '.join(different)}; choose another folder")
    return open_run(folder) if record.get("finished") else None
