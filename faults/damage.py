"""Files that are cut or overwritten: under a running process, or between two."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from faults.lab import MODEL, Lab, compare, contents
from faults.scenario import Verdict, scenario

Damage = Callable[[Path], None]


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _overwrite(path: Path) -> None:
    """Random bytes in the second half, in place."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(size // 2))


def _under_training(lab: Lab, damage: Damage, shards: str) -> Verdict:
    """Damage shards when the first epoch is over; the test split is read at the end."""
    zoo, folder = lab.copy(lab.zoo), lab.folder("run")
    process = lab.start(*lab.train(folder, zoo))
    reached = process.until(lambda: (folder / "checkpoints" / "last.ckpt").exists())
    for path in zoo.glob(f"shards/{shards}.safetensors"):
        damage(path)
    ending = process.wait()
    verdict = Verdict(str(ending))
    verdict.need(reached, "the training ended too soon")
    if ending.code == 0:
        verdict.add(compare(folder, lab.trained))
    else:
        verdict.add(ending.unclear(zoo))
    return verdict


UNDER = "the same result, or exit code 2 and one line that names the shard"


@scenario("all shards cut to half under a running training", UNDER)
def cut_shards(lab: Lab) -> Verdict:
    """Truncate in place."""
    return _under_training(lab, _cut, "*")


@scenario("all shards emptied under a running training", UNDER)
def emptied_shards(lab: Lab) -> Verdict:
    """Truncate to nothing."""
    return _under_training(lab, _empty, "*")


@scenario("a test shard overwritten under a running training", UNDER)
def overwritten_shard(lab: Lab) -> Verdict:
    """Overwrite its second half."""
    return _under_training(lab, _overwrite, "00013")


@scenario("a shard cut between build and build", "built again: the same bytes")
def cut_between(lab: Lab) -> Verdict:
    """Cut one, overwrite another."""
    zoo, verdict = lab.copy(lab.zoo), Verdict("built again")
    _cut(zoo / "shards" / "00003.safetensors")
    _overwrite(zoo / "shards" / "00005.safetensors")
    verdict.add(lab.run("zoo", "verify", zoo).unclear(zoo))
    verdict.add(lab.run(*lab.build(zoo)).failure() or compare(zoo, lab.zoo))
    return verdict


def _kernels(lab: Lab, damage: Damage) -> Verdict:
    """Build twice with a cache whose libraries are damaged."""
    whole, cache, verdict = lab.zoo, lab.folder("cache"), Verdict()  # the first fills the cache that is copied
    for name, data in contents(lab.cache / "kernels").items():
        path = cache / "kernels" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if path.suffix == ".so":
            damage(path)
    before = contents(cache)
    folder = lab.folder("zoo")
    ending = lab.run(*lab.build(folder), WSKAN_CACHE=cache)
    verdict.add(ending.failure() or compare(folder, whole))
    rebuilt = [name for name, data in contents(cache).items() if before.get(name) != data]
    verdict.need(bool(rebuilt), "never built again")
    verdict.happened = f"{ending}; {len(rebuilt)} libraries built again"
    return verdict


KERNEL = "built again, and the same zoo"


@scenario("kernel libraries in the cache cut to half", KERNEL)
def cut_kernels(lab: Lab) -> Verdict:
    """Cut them."""
    return _kernels(lab, _cut)


@scenario("kernel libraries in the cache emptied", KERNEL)
def emptied_kernels(lab: Lab) -> Verdict:
    """Empty them."""
    return _kernels(lab, _empty)


@scenario("kernel libraries in the cache overwritten", KERNEL)
def overwritten_kernels(lab: Lab) -> Verdict:
    """Overwrite their second half, where code lies."""
    return _kernels(lab, _overwrite)


def _checkpoint(lab: Lab, damage: Damage, name: str) -> Verdict:
    """Resume a run with a damaged checkpoint."""
    folder = lab.copy(lab.begun)
    path = folder / "checkpoints" / name
    damage(path)
    ending = lab.run(*lab.train(folder))
    verdict = Verdict(str(ending))
    verdict.add(compare(folder, lab.trained) if ending.code == 0 else ending.unclear(path.parent))
    return verdict


CHECKPOINT = "the same result, or exit code 2 and one line that names it"


@scenario("last.ckpt cut to half between runs", CHECKPOINT, quick=True)
def cut_last(lab: Lab) -> Verdict:
    """Cut it."""
    return _checkpoint(lab, _cut, "last.ckpt")


@scenario("last.ckpt emptied between runs", CHECKPOINT)
def emptied_last(lab: Lab) -> Verdict:
    """Empty it."""
    return _checkpoint(lab, _empty, "last.ckpt")


@scenario("last.ckpt overwritten between runs", CHECKPOINT)
def overwritten_last(lab: Lab) -> Verdict:
    """Overwrite its second half."""
    return _checkpoint(lab, _overwrite, "last.ckpt")


@scenario("best.ckpt removed between runs", CHECKPOINT)
def removed_best(lab: Lab) -> Verdict:
    """Remove it, where no later epoch may be better."""
    return _checkpoint(lab, Path.unlink, "best.ckpt")


@scenario("model.safetensors of a finished run cut to half", "exit code 2 and one line that names it")
def cut_model(lab: Lab) -> Verdict:
    """Ask for the run again, and evaluate it."""
    folder = lab.copy(lab.trained)
    _cut(folder / "model" / "model.safetensors")
    ending = lab.run("evaluate", folder, lab.zoo)
    verdict = Verdict(str(ending))
    verdict.add(ending.unclear(folder), lab.run("train", lab.zoo, folder, *MODEL).unclear(folder))
    return verdict
