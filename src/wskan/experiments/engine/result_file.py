"""Result files of experiments: ``out/NAME/SCALE.json``, ``.md`` and ``.png``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from wskan.errors import DataError, reason
from wskan.experiments.engine.experiment import ExperimentResult
from wskan.experiments.engine.render import to_markdown
from wskan.experiments.engine.table import Table
from wskan.files import write_atomically
from wskan.printing import markup
from wskan.reading import check, mapping, read_json

MAX_RESULT = 16 * 2**20  # bytes
SHAPE = {"protocol": str, "tables": [object], "runs": {str: {str: object}}, "data": {str: {str: [float]}}, str: object}


def read_result(path: Path, console: Console, protocol: str | None = None) -> ExperimentResult | None:
    """Return the result in a file, or None if the file is absent or has another protocol than the one given.

    The console reports a file of another protocol, which will be replaced.

    Raises:
        DataError: if the file is not a result.
    """
    if not path.exists():
        return None
    hint = "move it away, or choose another --out"
    data = read_json(path, MAX_RESULT, hint, infinite=True)
    try:
        data = {"runs": {}, "data": {}, "protocol": "", **mapping(data, "a result")}
        if "table" in data:  # of an earlier version
            data["tables"] = [data.pop("table")]
        check(data, SHAPE, "a result")
        if protocol is not None and (earlier := data["protocol"]) != protocol:
            text = f"was measured with other settings (protocol {earlier}, now {protocol}): it will be replaced"
            console.print(markup(f"{path} {text}"))
            return None
        tables = tuple(map(Table.from_dict, data["tables"]))
        return ExperimentResult(tables=tables, runs=data["runs"], data=data["data"])
    except DataError as error:
        raise DataError(f"{path}: not a result of wskan reproduce ({reason(error)}); {hint}") from error


def write_result(folder: Path, header: Mapping[str, Any], result: ExperimentResult) -> None:
    """Write the three files of a result; ``header`` holds the first entries of the JSON file."""
    scale = header["scale"]
    used = {run for table in result.tables for cell in table.cells.values() for run in cell.facts.get("runs", ())}
    data = {
        **header,
        "tables": [table.to_dict() for table in result.tables],
        "data": result.data,
        "runs": {run: record for run, record in result.runs.items() if run in used},
    }
    text = "\n".join(map(to_markdown, result.tables))
    write_atomically(folder / f"{scale}.json", lambda path: path.write_text(json.dumps(data, indent=1) + "\n"))
    write_atomically(folder / f"{scale}.md", lambda path: path.write_text(text))
    result.draw(result.tables, result.data, folder / f"{scale}.png")


def merge_results(result: ExperimentResult, earlier: ExperimentResult) -> ExperimentResult:
    """Add an earlier result on other data sets, with other seeds or of other methods."""
    tables = {table.title: table for table in earlier.tables}
    for table in result.tables:
        tables[table.title] = table.merge(tables[table.title]) if table.title in tables else table
    return dataclasses.replace(
        result,
        tables=tuple(tables.values()),
        runs={**earlier.runs, **result.runs},
        data={**earlier.data, **result.data},
    )


def reuse_cells(result: ExperimentResult, other: ExperimentResult, runs: set[str]) -> ExperimentResult:
    """Return the tables of a result with the cells of another experiment, of runs with these names.

    The tables correspond by position. Names of runs hash all settings.
    """
    tables = []
    for table, source in zip(result.tables, other.tables, strict=False):
        cells = {key: cell for key, cell in source.cells.items() if runs.issuperset(cell.facts.get("runs", [""]))}
        tables.append(dataclasses.replace(table, cells=cells))
    return ExperimentResult(tables=tuple(tables), runs=other.runs)
