import json
from pathlib import Path
from typing import Any

import pytest

from wskan.errors import DataError
from wskan.experiments import EXPERIMENTS, METHODS, Cell, Table
from wskan.experiments.engine.draw import draw_tables
from wskan.experiments.engine.experiment import ExperimentResult
from wskan.experiments.engine.methods import paper_row
from wskan.experiments.engine.render import cell_text, to_markdown
from wskan.experiments.engine.result_file import merge_results
from wskan.experiments.engine.table import paper_cell


def make(cells: dict[tuple[str, str], Cell], **changes: object) -> Table:
    columns = {column: column.upper() for _, column in cells}
    fields = {
        "title": "T",
        "unit": "percent",
        "better": "higher",
        "rows": {"a": "Method A", "b": "Method B"},
        "columns": columns,
        "cells": cells,
    }
    return Table(**{**fields, **changes})  # type: ignore[arg-type]


def test_mean_and_deviation_over_seeds() -> None:
    cell = Cell(values=(1.0, 2.0, 6.0))
    assert cell.mean == 3.0
    assert cell.std == pytest.approx(7**0.5)
    assert Cell(values=(4.0,)).std == 0


def test_the_best_row_of_a_column_is_bold() -> None:
    cells = {("a", "x"): Cell(values=(90.0, 80.0), paper=(94.3, 0.5)), ("b", "x"): Cell(values=(70.0, 60.0))}
    text = to_markdown(make(cells))
    assert "| Method A | **85.0 ± 7.1** (94.3 ± 0.5) |" in text
    assert "| Method B | 65.0 ± 7.1 |" in text
    assert make(cells, better="lower").first("x") == "b"
    assert make(cells).first("absent") is None
    same = {("a", "x"): Cell(values=(90.0,)), ("b", "x"): Cell(values=(90.0,))}
    assert make(same).first("x") is None
    assert "**" not in to_markdown(make(same))


def test_parameters_stand_beside_the_result() -> None:
    cells = {
        ("a", column): Cell(values=(1.0,), facts={"parameters": count}) for column, count in (("x", 5), ("y", 7000))
    }
    assert "| Method A | 5 to 7,000 |" in to_markdown(make(cells))


def test_tables_gather_what_was_measured_apart(tmp_path: Path) -> None:
    first = make({("a", "x"): Cell(values=(1.0, 2.0), paper=(3.0, 0.1), facts={"rate": 0.1})}, notes=["one"])
    second = make({("a", "y"): Cell(values=(5.0,)), ("b", "x"): Cell(values=(4.0,))}, notes=["two"])
    both = second.merge(Table.from_dict(json.loads(json.dumps(first.to_dict()))))
    assert list(both.columns) == ["x", "y"]
    assert both.cells["a", "x"] == first.cells["a", "x"]
    assert both.cells["b", "x"].mean == 4
    assert set(both.notes) == {"one", "two"}
    again = make({("a", "x"): Cell(values=(9.0,))}).merge(first)
    assert again.cells["a", "x"].mean == 9, "what is measured anew counts"
    one = make({("a", "x"): Cell(values=(1.0,))}, rows={"a": "A"}, groups={"a": "methods"})
    other = make({("b", "x"): Cell(values=(2.0,))}, rows={"b": "B"}, groups={"b": "methods"})
    assert "| B | **2** |" in to_markdown(one.merge(other)), "rows that were not asked for have their group, too"
    draw_tables([both], tmp_path / "bars.png")
    lines = make(
        {("a", "10"): Cell(values=(1.0,)), ("b", "20"): Cell(values=(2.0,), paper=(1.0, 0.1))}, kind="lines", log=True
    )
    draw_tables([lines, both], tmp_path / "lines.png")
    assert all((tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in ("bars", "lines"))


def test_the_lowest_of_bars_on_a_logarithmic_axis_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("wskan.experiments.engine.draw.save_figure", lambda figure, path: drawn.append(figure))
    cells = {
        ("a", "x"): Cell(values=(0.03,), paper=(7.0, 0.0)),
        ("b", "x"): Cell(values=(0.011,)),
        ("a", "y"): Cell(values=(0.0,)),
    }
    draw_tables([make(cells, log=True)], tmp_path / "bars.png")
    assert drawn[0].axes[0].get_ylim()[0] == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((98.31, 98.27), "98.29 ± 0.03"),
        ((98.2901, 98.2899), "98.29 ± <0.01"),
        ((3.0, 4.0), "3.5 ± 0.71"),
        ((34.0, 69.0), "51.50 ± 25"),
        ((0.0515, 0.0519), "0.0517 ± 0.0003"),
        ((300.0, 700.0), "500.00 ± 283"),
        ((0.0, 0.0), "0 ± 0"),
    ],
)
def test_a_deviation_has_no_digits_that_its_mean_lacks(values: tuple[float, ...], text: str) -> None:
    table = make({("a", "x"): Cell(values=values)}, decimals=2)
    assert cell_text(table, "a", "x").replace("**", "") == text


def test_what_was_gathered_before_comes_first() -> None:
    def tables(**titles: float) -> tuple[Table, ...]:
        return tuple(make({("a", "x"): Cell(values=(value,))}, title=title) for title, value in titles.items())

    earlier = ExperimentResult(tables=tables(first=1.0, second=2.0))
    found = merge_results(ExperimentResult(tables=tables(third=3.0, second=4.0)), earlier).tables
    assert [(t.title, t.cells["a", "x"].mean) for t in found] == [("first", 1.0), ("second", 4.0), ("third", 3.0)]


def test_cells_gather_seeds_of_the_same_settings() -> None:
    def cell(values: dict[int, float], rate: float = 0.1) -> Cell:
        runs = [f"mnist/mlp-lr{rate:g}-seed{seed}-abc{seed}" for seed in values]
        seconds = [10.0 * value for value in values.values()]
        facts = {"rate": rate, "seeds": list(values), "runs": runs, "train_seconds": seconds}
        return Cell(values=tuple(values.values()), facts=facts)

    old, new = cell({0: 1.0, 2: 3.0}), cell({1: 2.0, 2: 5.0})
    both = make({("a", "x"): new}).merge(make({("a", "x"): old})).cells["a", "x"]
    assert both == cell({0: 1.0, 1: 2.0, 2: 5.0}), "of what was measured twice the newer counts"
    assert new.merge(cell({0: 1.0}, rate=0.2)) == new, "another learning rate is another figure"
    for without in (Cell(values=(1.0,)), Cell(values=(1.0,), facts={"runs": []})):
        assert without.merge(old) == without.merge(without) == without
    assert new.merge(without) == new


@pytest.mark.parametrize(
    "earlier", [{"labels": {}}, {"cells": 3}, {"cells": {"x": {"a": {"values": ["much"], "paper": None}}}}]
)
def test_anything_else_is_refused(earlier: dict[str, object]) -> None:
    with pytest.raises(DataError, match="not a table"):
        Table.from_dict({**make({}).to_dict(), **earlier})


def test_brackets_and_bold_only_where_they_mean_something() -> None:
    cells = {("a", "1"): Cell(values=(1.0, 2.0)), ("b", "1"): Cell(values=(2.0, 3.0))}
    text = to_markdown(make(cells, over="KANs"))
    assert "**" in text
    assert "Mean ± standard deviation over KANs." in text
    assert "brackets" not in text
    assert "**" not in to_markdown(make(cells, better="neither"))
    with_paper = {**cells, ("a", "1"): Cell(values=(1.0,), paper=(3.0, 0.0))}
    assert "in brackets the paper's" in to_markdown(make(with_paper))


def test_a_table_goes_through_json() -> None:
    table = make(
        {("a", "1"): Cell(values=(1.0, 2.0), paper=(3.0, 0.1), facts={"rate": 0.1})},
        kind="lines",
        log=True,
        axis="x",
        groups={"a": "g", "b": "g"},
        decimals=2,
        notes=["n"],
    )
    assert Table.from_dict(json.loads(json.dumps(table.to_dict()))) == table


def test_earlier_tables_merge_under_the_present_words() -> None:
    """A table as of version 0.1.0: the method was called deepsets, and seconds were those of a KAN."""
    groups, notes = {"a": "a", "deepsets": "deepsets"}, ["20 test KANs a data set; the paper: 10."]
    cells = {("deepsets", "x"): Cell(values=(1.0,)), ("a", "x"): Cell(values=(2.0,))}
    reads = {"a": "weights", "deepsets": "weights"}
    rows = {"a": "A", "deepsets": "DeepSets"}
    old = make(cells, title="Figure 5c: seconds a KAN, x", rows=rows, groups=groups, reads=reads, notes=notes)
    new = make(
        {("deep_sets", "y"): Cell(values=(3.0,))},
        title="Figure 5c: seconds per KAN, x",
        rows={"deep_sets": "DeepSets"},
        groups={"deep_sets": "deep_sets"},
        reads={"deep_sets": "weights"},
        notes=["20 test KANs per data set; the paper: 10."],
    )
    earlier = ExperimentResult(tables=(Table.from_dict(json.loads(json.dumps(old.to_dict()))),))
    (table,) = merge_results(ExperimentResult(tables=(new,)), earlier).tables
    assert set(table.rows) == {"a", "deep_sets"}
    assert set(table.cells) == {("a", "x"), ("deep_sets", "x"), ("deep_sets", "y")}
    assert table.groups == {"a": "a", "deep_sets": "deep_sets"}
    assert table.reads == {"a": "weights", "deep_sets": "weights"}
    assert table.notes == new.notes


def test_the_papers_figures() -> None:
    assert paper_cell("table3_accuracy_prediction_mse_x1e3", "deepsets", "mnist") == (3.29, 0.12)
    assert paper_cell("table4_pruning_mask_roc_auc", "ws_kan", "fashion-mnist") == (99.72, 0.02)
    assert paper_cell("table10_ablation_pruning_auc", "no_bidir", "kmnist") == (97.11, 0.37)
    assert paper_cell("table1_inr_classification_accuracy", "ws_kan", "mnist") == (94.3, 0.5)
    assert paper_cell("table1_inr_classification_accuracy", "mlp_align", "cifar10") == (30.0, 0.2)
    assert paper_cell("table2_ood_width_accuracy", "fashion-mnist", "h=96") == (82.2, 0.7)
    assert paper_cell("table6_ablation_inr_accuracy", "no_bidir", "cifar10") == (10.0, 0.1)
    assert paper_cell("table1_inr_classification_accuracy", "ws_kan", "digits") is None
    assert paper_cell("figure5c_prune_seconds_per_kan", "oracle", "mnist") == (7.2, 0.0)
    assert paper_cell("", "ws_kan", "mnist") is None
    assert all(paper_cell("table1_inr_classification_accuracy", paper_row(row), "mnist") for row in list(METHODS)[:7])
    assert set(EXPERIMENTS) == {
        "table1",
        "table2",
        "table3",
        "table4",
        "table6",
        "table7",
        "table9",
        "table11",
        "figure5",
        "figure8",
        "figure9",
        "forms",
        "forms-long",
        "forms-accuracy",
        "forms-pruning",
        "data-efficiency",
        "parametrisations",
        "expressivity",
        "ideas",
        "ideas-pruning",
    }


def test_what_bars_from_zero_would_hide_are_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("wskan.experiments.engine.draw.save_figure", lambda figure, path: drawn.append(figure))
    near = {("a", "x"): Cell(values=(99.5,), paper=(99.7, 0.0)), ("b", "x"): Cell(values=(97.2,))}
    far = {**near, ("b", "y"): Cell(values=(20.0,))}
    draw_tables([make(near), make(far), make(near, log=True)], tmp_path / "bars.png")
    points, bars, logarithmic = drawn[0].axes
    assert points.get_ylim()[0] > 90
    assert not points.patches
    assert bars.get_ylim()[0] == 0
    assert len(bars.patches) == 3
    assert len(logarithmic.patches) == 2
