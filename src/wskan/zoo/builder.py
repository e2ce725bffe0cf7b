"""From a recipe to a zoo on disk, shard by shard; killed anywhere, it resumes and ends with the same bytes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from wskan.errors import DataError
from wskan.files import check_inside, empty, write_atomically
from wskan.kan import Engine, fit_population
from wskan.locks import hold, sweep
from wskan.zoo.manifest import Manifest, Shard, sha256, shard_path
from wskan.zoo.recipe import Recipe
from wskan.zoo.shard import FACTS
from wskan.zoo.store import Zoo, open_zoo
from wskan.zoo.targets import Targets, load_targets


def build_zoo(
    recipe: Recipe,
    folder: Path | str,
    *,
    engine: Engine = "auto",
    device: torch.device | str | None = None,
    data_root: Path | str | None = None,
    fetch: bool = False,
    progress: bool = False,
    within: Path | None = None,
) -> Zoo:
    """Build a zoo, or finish one that was interrupted.

    A shard is a pure function of (recipe, number): KAN i is fitted from a seed derived from (recipe seed, i) and, on the kernel, has the same bits in any
    company and on any number of cores.

    Args:
        recipe: what to train.
        folder: where; created if absent. Finished shards of the same recipe in it are kept if their checksums hold, and built again if not.
        engine, device: see :func:`wskan.kan.fit_population`.
        data_root, fetch: see :func:`wskan.signals.load_images`.
        progress: show a progress bar.
        within: a folder above, below which nothing is built through links.

    Raises:
        DataError: data that is missing, a folder that holds something else, another process that builds in it, a full disk. What is finished is kept.
        DivergedError: KANs that diverge with every seed.
    """
    folder = Path(folder)
    if not _missing(folder, _start(recipe, folder)):  # what is finished is only read, and swept
        sweep(folder, "shards")
    else:
        if within is not None:
            check_inside(within, folder)
        with hold(folder, "a zoo is built", inside=("shards",)):
            manifest = _start(recipe, folder)  # as the process before left it
            if missing := _missing(folder, manifest):
                targets = load_targets(recipe, data_root, fetch=fetch)
                manifest = _same_data(manifest, targets, folder)
                with _progress_bar(recipe, len(recipe) - _count(recipe, missing), progress) as advance:
                    _build(folder, manifest, missing, targets, engine, device, advance)
    return open_zoo(folder)


def _build(
    folder: Path,
    manifest: Manifest,
    missing: list[int],
    targets: Targets,
    engine: Engine,
    device: torch.device | str | None,
    advance: Callable[[int], None],
) -> None:
    """Build what is missing, and enter each shard into the manifest."""
    manifest.write(folder)  # before any shard: a folder with shards and no manifest would be nobody's zoo
    recipe = manifest.recipe
    done = len(recipe) - _count(recipe, missing)
    for shard in missing:
        begin = time.perf_counter()
        path = shard_path(folder, shard)
        shown = functools.partial(lambda before, count: advance(before + count), done)
        data = save(_build_shard(recipe, targets, shard, engine, device, shown))
        write_atomically(path, lambda to, data=data: to.write_bytes(data), top=folder)  # type: ignore[misc]
        done += len(recipe.shard_rows(shard))
        seconds = round(time.perf_counter() - begin, 3)
        entry = Shard(hashlib.sha256(data).hexdigest(), len(data), len(recipe.shard_rows(shard)), seconds)
        shards = (*manifest.shards[:shard], entry, *manifest.shards[shard + 1 :])
        manifest = dataclasses.replace(manifest, shards=shards)
        manifest.write(folder)


def _missing(folder: Path, manifest: Manifest) -> list[int]:
    return [shard for shard in range(manifest.recipe.num_shards) if not _holds(folder, manifest, shard)]


def _count(recipe: Recipe, shards: list[int]) -> int:
    return sum(len(recipe.shard_rows(shard)) for shard in shards)


def _start(recipe: Recipe, folder: Path) -> Manifest:
    """The manifest to go on from."""
    if not (folder / "manifest.json").exists():
        if not empty(folder):
            raise DataError(f"{folder} is not empty and holds no zoo; choose another folder")
        return Manifest(recipe, built_with={"torch": torch.__version__, "machine": platform.machine()})
    manifest = Manifest.read(folder)
    if manifest.recipe != recipe:
        raise DataError(
            f"{folder} holds a zoo of another recipe ({manifest.recipe.name} {manifest.recipe.digest}, "
            f"not {recipe.name} {recipe.digest}); choose another folder"
        )
    return manifest


def _holds(folder: Path, manifest: Manifest, index: int) -> bool:
    """Whether a shard is there with the bytes that the manifest says."""
    if index >= len(manifest.shards):
        return False
    path, shard = shard_path(folder, index), manifest.shards[index]
    return path.is_file() and path.stat().st_size == shard.size and sha256(path) == shard.sha256


def _same_data(manifest: Manifest, targets: Targets, folder: Path) -> Manifest:
    """The manifest with the checksum of the data and a note of what is unusual about it; it must not change half-way."""
    note, checksum = manifest.built_with.get("data", ""), manifest.built_with.get("data_sha256")
    now = targets.files.get("data_sha256")
    if manifest.shards and (note != targets.note or checksum not in (None, now)):  # none: of an earlier version
        raise DataError(
            f"{folder} was begun with other files of {manifest.recipe.dataset} ({note or checksum or 'the usual ones'}, now {targets.note or now or 'the usual ones'}); choose another folder"
        )
    data = {"data": targets.note} if targets.note else {}
    return dataclasses.replace(manifest, built_with={**manifest.built_with, **data, **targets.files})


def _build_shard(
    recipe: Recipe,
    targets: Targets,
    shard: int,
    engine: Engine,
    device: torch.device | str | None,
    advance: Callable[[int], None],
) -> dict[str, Tensor]:
    rows = recipe.shard_rows(shard)
    result = fit_population(
        recipe.spec,
        targets.inputs,
        targets.values(rows),
        recipe.kan_seeds(rows),
        recipe.fit,
        engine=engine,
        device=device,
        progress=advance,
    )
    index = torch.tensor(rows)
    result = dataclasses.replace(result, population=targets.stored(result.population))
    facts = {
        "index": index,
        "split": targets.split[index],
        "seed": result.seeds,
        "attempts": result.attempts,
        "loss": result.loss,
        **targets.facts(index, result),
    }
    tensors = {**result.population.tensors(), **{f"{FACTS}{name}": column for name, column in facts.items()}}
    tensors |= targets.oracle(result.population)
    return {name: tensor.contiguous() for name, tensor in sorted(tensors.items())}


@contextlib.contextmanager
def _progress_bar(recipe: Recipe, done: int, shown: bool) -> Iterator[Callable[[int], None]]:
    if not shown:
        yield lambda _: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from wskan.printing import markup

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("KANs"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(f"training {markup(recipe.name)}", total=len(recipe), completed=done)
        yield lambda count: bar.update(task, completed=count)
