"""Mutants of CSV."""

from __future__ import annotations

from pathlib import Path
from random import Random

from fuzz.raw import mutate_bytes
from fuzz.values import odd_string

CELLS = (
    "",
    "nan",
    "inf",
    "-1",
    "1e400",
    "0.5",
    "9" * 400,
    "x",
    '"',
    "a,b",
    "0x10",
    "1_000",
    "None",
    "٣",
    "1e38",
    " 2 ",
)


def mutate_csv(path: Path, rng: Random) -> str:
    """Change cells, columns or rows of a CSV file; say what."""
    if rng.random() < 0.15:
        return mutate_bytes(path, rng)
    rows = [line.split(",") for line in path.read_text().splitlines()]
    row = rng.choice(rows)
    column = rng.randrange(len(row))
    how = rng.choice(
        ("cell", "cell", "cell", "header", "no header", "drop", "columns", "rows", "long", "ragged", "epoch")
    )
    if how == "cell":
        row[column] = rng.choice((*CELLS, odd_string(rng)))
    elif how == "header":
        rows[0][column] = rng.choice((odd_string(rng), "epoch", ""))
    elif how == "no header":
        del rows[0]
    elif how == "drop":
        for each in rows:
            del each[column]
    elif how == "columns":
        rows = [each + [str(i) for i in range(20_000)] for each in rows]
    elif how == "rows":
        rows += [rows[-1]] * 20_000
    elif how == "long":
        row[column] = "1" * rng.choice((5_000, 200_000, 3_000_000))
    elif how == "ragged":
        row += ["1"] * 5 if rng.random() < 0.5 else []
        del row[: rng.randrange(len(row))]
    elif "epoch" in rows[0]:
        at = rows[0].index("epoch")
        row[min(at, len(row) - 1)] = rng.choice(("-1", "1e9", "999999999999", "1.0", "", "nan", str(10**20)))
    path.write_bytes("\n".join(map(",".join, rows)).encode("utf-8", "surrogatepass"))
    return f"csv: {how}"
