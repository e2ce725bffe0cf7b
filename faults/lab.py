"""The lab in which processes are put to trial: folders, commands, disks, and results of uninterrupted runs."""

from __future__ import annotations

import functools
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faults.process import STARTED, Ending, Process

SOURCE = Path(__file__).parent.parent / "src"
MODEL = ["--model", "mlp", "--hidden", "16", "--layers", "2", "--epochs", "8", "--batch-size", "16", "--form", "raw"]
WITHOUT_RIGHTS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]  # root obeys modes, too
MEASURED = {"train_seconds", "command", "commit", "machine", "versions"}  # facts of run.json that differ between runs


class Lab:
    """A temporary folder with everything that scenarios share.

    Args:
        root: the folder; may be filled and thrown away.
        scale: factor of all repetitions.
        quick: whether each is to be tried as seldom as makes sense.
        seed: random seed of the moments of faults.
    """

    def __init__(self, root: Path, *, scale: float = 1, quick: bool = False, seed: int = 0) -> None:
        self.root, self.scale, self.quick, self.random = root, scale, quick, random.Random(seed)
        self._numbers, self._disks, self._limits = itertools.count(), list[Path](), dict[Path, int]()
        self.cache = Path(os.environ.get("WSKAN_CACHE", Path.home() / ".cache" / "wskan"))
        self.seconds: dict[str, float] = {}  # that references took

    def times(self, count: int, quick: int = 1) -> int:
        """Return how often to try something."""
        return quick if self.quick else max(1, round(count * self.scale))

    def folder(self, name: str = "") -> Path:
        """A new name for a folder."""
        return self.root / f"{next(self._numbers)}-{name}"

    def start(
        self, *arguments: object, trap: Mapping[str, Any] | None = None, rights: bool = True, **environment: object
    ) -> Process:
        """Start ``wskan`` with these arguments."""
        command = [sys.executable, str(Path(__file__).with_name("entry.py")), *map(str, arguments)]
        given = {name: str(value) for name, value in environment.items()}
        if trap:
            given["FAULTS_TRAP"] = json.dumps(trap, default=str)
        return Process(command if rights else [*WITHOUT_RIGHTS, *command], self.environment | given, self.root)

    def run(self, *arguments: object, **options: Any) -> Ending:
        """Start ``wskan`` and wait for its end."""
        return self.start(*arguments, **options).wait()

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of every process: this source, one thread, inspected temporary files."""
        self.temporary.mkdir(exist_ok=True)
        changes = {
            "PYTHONPATH": SOURCE,
            "OMP_NUM_THREADS": 1,
            "TMPDIR": self.temporary,
            "WSKAN_CACHE": self.cache,
            "COLUMNS": 200,
        }
        if self._limits:
            changes["FAULTS_LIMITS"] = self._limits_file
        return os.environ | {name: str(value) for name, value in changes.items()}

    @property
    def temporary(self) -> Path:
        """TMPDIR, unless a process is given another."""
        return self.root / "tmp"

    @staticmethod
    def build(folder: Path) -> list[object]:
        """Command that builds the small zoo."""
        return ["zoo", "build", "faults", folder]

    def train(self, folder: Path, zoo: Path | None = None) -> list[object]:
        """Command that trains a small model."""
        return ["train", zoo or self.zoo, folder, *MODEL]

    def align(self, folder: Path) -> list[object]:
        """Command that aligns the small zoo."""
        return ["zoo", "align", self.zoo, folder]

    @staticmethod
    def reproduce(work: Path, out: Path, jobs: int = 1) -> list[object]:
        """Command that reproduces a part of table 1."""
        return [
            "reproduce",
            "table1",
            "--scale",
            "smoke",
            "--methods",
            "mlp",
            "--work",
            work,
            "--out",
            out,
            "--jobs",
            jobs,
        ]

    @functools.cached_property
    def zoo(self) -> Path:
        """A zoo that nothing happened to."""
        return self._reference("build", self.folder("zoo"), self.build)

    @functools.cached_property
    def trained(self) -> Path:
        """A run that nothing happened to."""
        return self._reference("train", self.folder("run"), self.train)

    @functools.cached_property
    def aligned(self) -> Path:
        """An alignment that nothing happened to."""
        return self._reference("align", self.folder("aligned"), self.align)

    def _reference(self, name: str, folder: Path, command: Any) -> Path:
        arguments, begin = command(folder), time.perf_counter()
        ending = self.run(*arguments)
        self.seconds[name] = time.perf_counter() - begin
        if ending.code:
            raise SystemExit(f"faults: nothing was done to it, yet {name} failed: {ending}")
        return folder

    @functools.cached_property
    def begun(self) -> Path:
        """A run that was interrupted after a few epochs: two checkpoints and no model."""
        folder = self.folder("begun")
        process = self.start(*self.train(folder))
        process.until(lambda: (folder / "checkpoints" / "last.ckpt").exists())
        process.kill()
        return folder

    def copy(self, folder: Path) -> Path:
        """A copy, to be damaged."""
        copy = self.folder(folder.name.partition("-")[2])
        shutil.copytree(folder, copy, symlinks=True)
        return copy

    def disk(self, kilobytes: int) -> Path:
        """A small disk of its own, or a folder that stands in for one; :meth:`resize` makes it larger."""
        folder = self.folder("disk")
        folder.mkdir()
        if can_mount():
            mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "faults", folder)
            self._disks.append(folder)
        else:
            self.resize(folder, kilobytes)
        return folder

    def close(self) -> None:
        """End what still runs and take the disks away, so that the root can be removed."""
        for process in STARTED:
            if process.running:
                process.kill()
        for disk in self._disks:
            subprocess.run(["umount", "--lazy", str(disk)], check=False, capture_output=True)

    def resize(self, disk: Path, kilobytes: int) -> None:
        """Give a disk another size."""
        if can_mount():
            mount("-o", f"remount,size={kilobytes}k", disk)
            return
        self._limits[disk] = 1024 * kilobytes
        new = self._limits_file.with_suffix(".new")  # a process that writes reads it
        new.write_text(json.dumps({str(folder): limit for folder, limit in self._limits.items()}))
        new.replace(self._limits_file)

    @property
    def _limits_file(self) -> Path:
        return self.root / "limits.json"

    @functools.cached_property
    def elsewhere(self) -> Path:
        """A folder on another filesystem: a disk of its own, or /dev/shm."""
        return self.disk(64 * 1024) if can_mount() else Path("/dev/shm")


def mount(*arguments: object) -> None:
    """Call ``mount``."""
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@functools.cache
def can_mount() -> bool:
    """Return whether disks can be mounted: ``python -m faults`` takes a mount namespace if it may."""
    return os.environ.get("FAULTS_MOUNTS") == "yes"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, links as where they point to."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_symlink() or path.is_file())
    return {str(p.relative_to(folder)): os.readlink(p).encode() if p.is_symlink() else p.read_bytes() for p in files}


def compare(folder: Path, whole: Path) -> str:
    """Return how a zoo, alignment or run differs from an undisturbed one, except in logs and times."""
    found, expected = (
        {name: data for name, data in contents(path).items() if not name.startswith("logs/")}
        for path in (folder, whole)
    )
    if odd := sorted(found.keys() ^ expected.keys()):
        return f"files differ: {', '.join(odd)[:150]}"
    free = {"run.json", "manifest.json"}
    unlike = [
        name for name in found if name not in free and not name.endswith(".ckpt") and found[name] != expected[name]
    ]
    facts = [name for name in free & found.keys() if _facts(found[name]) != _facts(expected[name])]
    return f"other bytes: {', '.join(unlike + facts)[:150]}" if unlike or facts else ""


def _facts(text: bytes) -> dict[str, Any]:
    record = {name: value for name, value in json.loads(text).items() if name not in MEASURED}
    record.get("asked", {}).pop("zoo_folder", None)
    for shard in record.get("shards", []):
        shard.pop("seconds", None)
    return record
