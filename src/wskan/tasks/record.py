"""The record and the learning curve of a training run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from wskan.errors import DataError
from wskan.files import write_atomically
from wskan.reading import read_bytes, read_json, shown, whole

MAX_RECORD, MAX_LOG = 2**20, 4 * 2**20  # bytes


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read ``run.json``, or return None if it does not exist.

    Raises:
        DataError: the file is not the record of a training run.
    """
    path = folder / "run.json"
    if not path.exists():
        return None
    record = read_json(path, MAX_RECORD, "train in another folder", infinite=True)  # a metric may be NaN
    if not isinstance(record, dict) or not isinstance(record.get("asked"), dict):
        raise DataError(f"{path}: not the record of a training run; train in another folder")
    return record


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write ``run.json``, all or nothing."""
    text = json.dumps(record, indent=1)
    write_atomically(folder / "run.json", lambda path: path.write_text(text))


def learning_curve(folder: Path | str) -> list[dict[str, float]]:
    """Read the learning curve of a run: one row per epoch with ``epoch``, ``seconds``, ``train_*`` and ``val_*``.

    Each time a run is resumed it begins a new log. Where logs overlap, the later one counts. Values that are not finite
    are left out, and so is a last line that a killed process left unfinished.

    Raises:
        DataError: a log is too large or damaged.
    """
    rows: dict[int, dict[str, float]] = {}
    for path in sorted(Path(folder).glob("logs/*/metrics.csv"), key=lambda path: path.stat().st_mtime):
        for row in _log(path):
            rows.setdefault(int(row["epoch"]), {}).update(row)
    return [rows[epoch] for epoch in sorted(rows)]


def _log(path: Path) -> list[dict[str, float]]:
    """Read the rows of one log by column. Empty cells are left out; every row has an epoch."""
    data = read_bytes(path, MAX_LOG, "delete it")
    if (
        data.count(b"\n") > MAX_LOG // 16 or data.count(b",") > MAX_LOG // 4
    ):  # each takes many times its bytes in memory
        raise DataError(f"{path}: has too many lines or columns for a learning curve; delete it")
    lines = data.decode(errors="replace").split("\n")[:-1]  # the last was not finished
    names, rows = lines[0].strip().split(",") if lines else [], []
    for number, line in enumerate(lines[1:], start=2):
        cells = line.rstrip("\r").split(",")
        try:
            figures = ((name, float(cell)) for name, cell in zip(names, cells, strict=True) if cell)
            row = {name: figure for name, figure in figures if math.isfinite(figure)}
            whole(int(row["epoch"]), "epoch", 0, 2**32)
        except (ValueError, KeyError, OverflowError) as error:
            raise DataError(
                f"{path}: line {number} is not part of a learning curve: {shown(line)}; delete it"
            ) from error
        rows.append(row)
    return rows
