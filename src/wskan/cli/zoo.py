"""The commands ``wskan zoo recipes|build|info|verify|align``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipes:
    """List the recipes, with the architecture, the basis and the number of KANs of each."""

    def run(self) -> None:
        from rich.console import Console
        from rich.table import Column, Table

        from wskan.printing import markup
        from wskan.zoo import RECIPES

        table = Table(Column("recipe", no_wrap=True), "KANs", "basis", "train/val/test", box=None)
        for name, recipe in RECIPES.items():
            counts = "/".join(f"{count:,}" for count in (recipe.train, recipe.val, recipe.test))
            table.add_row(name, markup(list(recipe.spec.widths)), recipe.spec.basis, counts)
        Console().print(table)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Build:
    """Train the KANs of a recipe, or finish an interrupted zoo."""

    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    """Name of a recipe; `wskan zoo recipes` lists them."""
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder of the new zoo."""
    train: int | None = None
    """Number of training KANs. By default that of the recipe."""
    val: int | None = None
    """Number of validation KANs."""
    test: int | None = None
    """Number of test KANs."""
    seed: int | None = None
    """Random seed. Zoos of classifiers with the same seed contain the same KANs, whatever their size. Choose another
    seed for new ones."""
    storage: Literal["float32", "float16"] | None = None
    """Classifiers: precision of weights and coefficients on disk."""
    score: Literal["attribution", "activation"] | None = None
    """Classifiers: score of an edge for the pruning oracle, pykan's attribution or the mean |activation| of its older
    releases."""
    threshold: float | None = None
    """Classifiers: the oracle keeps edges with a higher score (0.01)."""
    scores: bool = False
    """Classifiers: also store the oracle's scores of all edges, for the task pruning-scores."""
    engine: Literal["auto", "kernel", "torch", "compile"] = "auto"
    """Engine of training: the C++ kernel, PyTorch, or PyTorch with torch.compile. auto uses the kernel if it can."""
    device: str | None = None
    """Device of the PyTorch engines, e.g. cuda."""
    data: Path | None = None
    """Folder with the data sets (default: the environment variable WSKAN_DATA, else ~/.cache/wskan)."""
    fetch: bool = False
    """Download missing data from its publisher."""

    def run(self) -> None:
        from wskan.errors import DataError
        from wskan.zoo import build_zoo, get_recipe

        names = ("train", "val", "test", "seed")
        changes = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        recipe = dataclasses.replace(get_recipe(self.recipe), **changes)
        names = ("storage", "score", "threshold", "scores")
        given = {name: getattr(self, name) for name in names}
        changes = {name: value for name, value in given.items() if value is not None and value is not False}
        if changes:
            if recipe.classifier is None:
                raise DataError(f"{recipe.name} is not a recipe of classifiers; leave out --{', --'.join(changes)}")
            recipe = dataclasses.replace(recipe, classifier=dataclasses.replace(recipe.classifier, **changes))
        zoo = build_zoo(
            recipe,
            self.folder,
            engine=self.engine,
            device=self.device,
            data_root=self.data,
            fetch=self.fetch,
            progress=True,
        )
        _print_info(zoo.info(), self.folder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Info:
    """Print counts, quality, size and recipe of a zoo."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder of the zoo."""

    def run(self) -> None:
        from wskan.zoo import open_zoo

        _print_info(open_zoo(self.folder).info(), self.folder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verify:
    """Check every byte of a zoo against the checksums in its manifest."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder of the zoo."""

    def run(self) -> None:
        from wskan.printing import plain
        from wskan.zoo import open_zoo

        zoo = open_zoo(self.folder)
        zoo.verify()
        print(f"{plain(self.folder)}: {len(zoo):,} KANs in {len(zoo.manifest.shards)} shards, all checksums match")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlignZoo:
    """Align all KANs of a zoo to the mean of some of its training KANs (paper, appendix D.1)."""

    zoo: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ZOO")]
    """Folder of the zoo, which is not changed."""
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder of the permutations and the reference. A finished alignment is used again."""
    subset: int = 1000
    """Number of training KANs, chosen at random, that the reference is made of."""
    tolerance: float = 1e-3
    """MergeMany stops when a pass lowers the mean squared distance by no more than this fraction."""
    seed: int = 0
    """Random seed of the choice of KANs and of the orders of MergeMany."""

    def run(self) -> None:
        from wskan.align import align_zoo
        from wskan.printing import plain
        from wskan.zoo import open_zoo

        zoo = open_zoo(self.zoo)
        aligned = align_zoo(
            zoo, self.folder, subset=self.subset, tolerance=self.tolerance, seed=self.seed, progress=True
        )
        before, after = float(aligned.distance_before.mean()), float(aligned.distance_after.mean())
        print(
            f"{plain(self.folder)}: {len(zoo):,} KANs aligned, "
            f"mean squared distance to the reference {before:.4g} before, {after:.4g} after"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZooCommand:
    """Build, describe, check or align a zoo of trained KANs, or list the recipes."""

    command: (
        Annotated[Recipes, tyro.conf.subcommand("recipes", prefix_name=False)]
        | Annotated[Build, tyro.conf.subcommand("build", prefix_name=False)]
        | Annotated[Info, tyro.conf.subcommand("info", prefix_name=False)]
        | Annotated[Verify, tyro.conf.subcommand("verify", prefix_name=False)]
        | Annotated[AlignZoo, tyro.conf.subcommand("align", prefix_name=False)]
    )

    def run(self) -> None:
        self.command.run()


def _print_info(info: dict[str, Any], folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from wskan.printing import markup

    table = Table(show_header=False, box=None)
    for name, value in {"folder": folder, **_recipe_rows(info), **_quality_rows(info), **_build_rows(info)}.items():
        table.add_row(f"[bold]{name}", markup(value))
    Console().print(table)


def _recipe_rows(info: dict[str, Any]) -> dict[str, str]:
    recipe = info["recipe"]
    spec, fit = recipe["spec"], recipe["fit"]
    return {
        "recipe": f"{recipe['name']} (seed {recipe['seed']}, digest {info['digest']})",
        "KANs": "  ".join(f"{count:,} {split}" for split, count in info["counts"].items()),
        "architecture": f"{spec['widths']}, {spec.get('basis', 'bspline')}, G={spec['grid']}, k={spec['degree']}, "
        f"base {spec['base']}",
        "training": f"{fit['steps']} steps of {fit['batch_size']}, lr {fit['lr']} ({fit['schedule']}), "
        f"grid {'adapted' if fit['adapt_grid'] else 'fixed'}",
    }


def _quality_rows(info: dict[str, Any]) -> dict[str, str]:
    """Return rows about PSNR, accuracy and pruning oracle, if the zoo has them."""
    rows = {}
    if "psnr_mean" in info:
        rows["PSNR"] = f"mean {info['psnr_mean']:.1f} dB, {info['psnr_above_40']:.1%} above 40 dB"
        rows["PSNR quantiles"] = _quantiles(info["psnr_quantiles"], ".1f")
    if "accuracy_mean" in info:
        rows["test accuracy"] = f"mean {info['accuracy_mean']:.1%}"
        rows["accuracy quantiles"] = _quantiles(info["accuracy_quantiles"], ".1%")
        rows["permuted labels"] = f"mean {info['noise_mean']:.1%}"
    if "kept_mean" in info:
        rows["oracle"] = f"keeps {info['kept_mean']:.1%} of the edges"
    if classifier := info["recipe"].get("classifier"):
        rows["oracle's rule"] = (
            f"{classifier['score']} above {classifier['threshold']:g}, "
            f"on at most {classifier['scored']:,} training images"
            f"{'; scores are stored' if classifier.get('scores') else ''}"
        )
    return rows


def _quantiles(values: dict[str, float], style: str) -> str:
    return "  ".join(f"{float(share):.0%} {value:{style}}" for share, value in values.items())


def _build_rows(info: dict[str, Any]) -> dict[str, str]:
    storage = info["recipe"].get("classifier", {}).get("storage", "float32")
    rows = {
        "diverged and retried": str(info["retried"]),
        "size": f"{info['bytes'] / 1e6:,.1f} MB, weights in {storage}",
        "time": f"{info['seconds']:,.0f} s, {info['seconds_per_kan'] * 1e3:.1f} ms per KAN",
    }
    if note := info["built_with"].get("data"):
        rows["data"] = note
    if changed_files := info["built_with"].get("data_not_as_published"):
        rows["not as published"] = f"{changed_files}: other files of that name were used"
    return rows
