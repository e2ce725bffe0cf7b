"""Links and paths planted in folders: nothing outside the folder named on the command line may change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from faults.lab import Lab, contents
from faults.process import Ending
from faults.scenario import Verdict, scenario

PROMISE = "nothing outside is changed, written or removed; success, or exit code 2 and one line"
HOSTILE = """
import sys, torch
path, victim = sys.argv[1:]
state = torch.load(path, weights_only=True)
for name, callback in state["callbacks"].items():
    if "ModelCheckpoint" in name or "Checkpoint" in name:
        place = callback["dirpath"]
        callback.update(best_model_path=f"{place}/../../{victim}", last_model_path=f"{place}/../../{victim}")
        callback["kth_best_model_path"] = f"{place}/../../{victim}"
        callback["best_k_models"] = {f"{place}/../../{victim}": torch.tensor(-1.0)}
        callback["best_model_score"] = callback["kth_value"] = torch.tensor(-1.0)
torch.save(state, path)
"""


def _outside(lab: Lab) -> Path:
    """A folder with files that are somebody's."""
    folder = lab.folder("outside")
    folder.mkdir()
    for name in ("precious", ".precious.tmp", "00000.safetensors", "last.ckpt", "config.json"):
        (folder / name).write_text("precious")
    return folder


def _verdict(ending: Ending, outside: Path, before: dict[str, bytes], *names: object) -> Verdict:
    after = contents(outside)
    changed = [
        f"{name} {'overwritten' if name in after else 'removed'}" for name in before if before[name] != after.get(name)
    ]
    changed += [f"{name} written" for name in after if name not in before]
    verdict = Verdict(str(ending))
    verdict.need(not changed, f"outside: {', '.join(changed)[:200]}")
    verdict.add(ending.failed_unclearly(*names))
    return verdict


def _linked(lab: Lab, folder: Path, name: str, command: list[object]) -> Verdict:
    """Make a part of a folder a link to elsewhere, with what lay in it."""
    outside, part = _outside(lab), folder / name
    if part.is_dir():
        for path in part.iterdir():
            path.rename(outside / path.name)
        part.rmdir()
    part.symlink_to(outside)
    before = contents(outside)
    return _verdict(lab.run(*command), outside, before, folder)


@scenario("shards/ of an unfinished zoo is a link", PROMISE, quick=True)
def linked_shards(lab: Lab) -> Verdict:
    """Its last shard is missing, and will be written."""
    folder = lab.copy(lab.zoo)
    (folder / "shards" / "00015.safetensors").unlink()
    return _linked(lab, folder, "shards", lab.build(folder))


def _linked_part(name: str) -> None:
    def run(lab: Lab) -> Verdict:
        folder = lab.copy(lab.begun)
        return _linked(lab, folder, name, lab.train(folder))

    run.__module__ = __name__
    scenario(f"{name}/ of an unfinished run is a link", PROMISE)(run)


for _name in ("checkpoints", "logs", "model"):
    _linked_part(_name)


def _linked_file(name: str) -> None:
    def run(lab: Lab) -> Verdict:
        folder, outside = lab.copy(lab.begun), _outside(lab)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.rename(outside / path.name)
        path.symlink_to(outside / path.name)
        before = contents(outside)
        return _verdict(lab.run(*lab.train(folder)), outside, before, folder)

    run.__module__ = __name__
    scenario(f"{name} of an unfinished run is a link", PROMISE)(run)


for _name in (
    "checkpoints/last.ckpt",
    "checkpoints/best.ckpt",
    "model/model.safetensors",
    "model/config.json",
    "run.json",
):
    _linked_file(_name)


@scenario("the next log of an unfinished run is a link", PROMISE)
def linked_log(lab: Lab) -> Verdict:
    """``logs/version_1``, which a continuation will make."""
    folder = lab.copy(lab.begun)
    return _linked(lab, folder, "logs/version_1", lab.train(folder))


def _planted(lab: Lab, command: list[object], *paths: Path) -> Verdict:
    """Make predictable temporary names links to a file elsewhere."""
    outside = _outside(lab)
    before = contents(outside)
    ending = lab.run(*command, trap={"plant": paths, "target": outside / "precious"})
    return _verdict(ending, outside, before)


@scenario("predictable temporary names in a zoo are links", PROMISE)
def planted_zoo(lab: Lab) -> Verdict:
    """Replace its manifest and a shard. A zoo without shards is there, so that the folder is not a stranger's."""
    folder = lab.copy(lab.zoo)
    (folder / "shards" / "00015.safetensors").unlink()
    return _planted(lab, lab.build(folder), folder / "shards" / "00015.safetensors", folder / "manifest.json")


@scenario("predictable temporary names in a run are links", PROMISE)
def planted_run(lab: Lab) -> Verdict:
    """Replace its record and model."""
    folder = lab.copy(lab.begun)
    return _planted(lab, lab.train(folder), folder / "run.json", folder / "model" / "model.safetensors")


@scenario("predictable temporary names of an alignment are links", PROMISE)
def planted_alignment(lab: Lab) -> Verdict:
    """Replace both files, in an empty folder."""
    folder = lab.folder("aligned")
    return _planted(lab, lab.align(folder), folder / "alignment.safetensors", folder / "manifest.json")


@scenario("last.ckpt names files outside as its best models", PROMISE, quick=True)
def hostile_checkpoint(lab: Lab) -> Verdict:
    """Lightning would remove what it names."""
    folder, outside = lab.copy(lab.begun), _outside(lab)
    checkpoint = folder / "checkpoints" / "last.ckpt"
    victim = f"{outside.name}/precious"
    subprocess.run([sys.executable, "-c", HOSTILE, str(checkpoint), victim], check=True, cwd=lab.root)
    before = contents(outside)
    return _verdict(lab.run(*lab.train(folder)), outside, before, folder)
