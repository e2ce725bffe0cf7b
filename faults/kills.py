"""Killed without warning, at random moments and in the middle of writes."""

from __future__ import annotations

import functools
from pathlib import Path

from faults.lab import Lab, compare, contents
from faults.scenario import RESUMES, Verdict, scenario


@scenario("zoo build, SIGKILL at random moments", RESUMES, quick=True)
def killed_builds(lab: Lab) -> Verdict:
    """Kill a build when it has written some more shards; begin another zoo when one is finished."""
    verdict, count, kills, finished = Verdict(), lab.times(50, quick=2), 0, 0
    whole, folder = lab.zoo, lab.folder("zoo")
    while kills < count:
        before = _count(folder, "shards/*.safetensors")
        process = lab.start(*lab.build(folder))
        process.until(functools.partial(_more, folder, "shards/*.safetensors", before))
        process.until(lambda: False, lab.random.uniform(0, 0.25))
        if process.running:
            process.kill()
            kills += 1
        else:
            verdict.add(process.wait().failure(), compare(folder, whole))
            folder, finished = lab.folder("zoo"), finished + 1
    verdict.add(lab.run(*lab.build(folder)).failure(), compare(folder, whole))
    verdict.happened = f"{kills} kills, {finished + 1} zoos finished"
    return verdict


def _count(folder: Path, pattern: str) -> int:
    return len(list(folder.glob(pattern)))


def _more(folder: Path, pattern: str, before: int) -> bool:
    return _count(folder, pattern) > before


@scenario("zoo build, killed in the middle of writes", RESUMES)
def killed_build_writes(lab: Lab) -> Verdict:
    """Kill builds at their n-th change of a file or some bytes after it."""
    verdict, count = Verdict(), lab.times(20)
    for number in range(count):
        folder = lab.folder("zoo")
        trap = {
            "under": folder,
            "change": 1 + 2 * number,
            **({"bytes": lab.random.randrange(30_000)} if number % 2 else {}),
        }
        lab.run(*lab.build(folder), trap=trap)
        verdict.add(lab.run(*lab.build(folder)).failure(), compare(folder, lab.zoo))
    verdict.happened = f"{count} kills, each finished by a second run"
    return verdict


@scenario("train, SIGKILL at random moments, TMPDIR on another disk", f"{RESUMES}; nothing is left in TMPDIR")
def killed_trainings(lab: Lab) -> Verdict:
    """Kill trainings between their first file and their end."""
    whole = lab.trained
    verdict, count, kills = Verdict(), lab.times(20), 0
    folder, temporary = lab.folder("run"), _temporary(lab)
    while kills < count:
        logs = _count(folder, "logs/*")
        process = lab.start(*lab.train(folder), TMPDIR=temporary)
        process.until(functools.partial(_more, folder, "logs/*", logs))
        process.until(lambda: False, lab.random.uniform(0, 0.6))
        if process.running:
            process.kill()
            kills += 1
            continue
        ending = process.wait()
        verdict.add(ending.failure() or compare(folder, whole))
        folder = lab.folder("run")
        if ending.code:
            kills += 1  # it cannot go on: no endless loop
    verdict.add(lab.run(*lab.train(folder), TMPDIR=temporary).failure() or compare(folder, whole))
    verdict.add(*_litter(temporary))
    verdict.happened = f"{kills} kills"
    return verdict


@scenario(
    "train, killed in the middle of a checkpoint, TMPDIR on another disk",
    f"{RESUMES}; nothing is left in TMPDIR",
    quick=True,
)
def killed_checkpoints(lab: Lab) -> Verdict:
    """Kill resumed trainings at their n-th change below the run, or some bytes later: the old checkpoint must do."""
    whole = lab.trained
    verdict, count = Verdict(), lab.times(20)
    temporary = _temporary(lab)
    for number in range(count):
        folder = lab.copy(lab.begun)
        trap = {"under": folder / "checkpoints", "change": 2 + number % 10, "bytes": lab.random.randrange(50_000)}
        lab.run(*lab.train(folder), TMPDIR=temporary, trap=trap)
        verdict.add(lab.run(*lab.train(folder), TMPDIR=temporary).failure() or compare(folder, whole))
    verdict.add(*_litter(temporary))
    verdict.happened = f"{count} kills, each finished by a second run"
    return verdict


def _temporary(lab: Lab) -> Path:
    folder = lab.elsewhere / lab.folder("tmp").name
    folder.mkdir(parents=True)
    return folder


def _litter(temporary: Path) -> list[str]:
    left = contents(temporary)
    return [f"{len(left)} files left in TMPDIR, {sum(map(len, left.values())):,} bytes"] if left else []


@scenario("zoo align, killed inside the write", RESUMES)
def killed_alignments(lab: Lab) -> Verdict:
    """Kill alignments at each change of a file and some bytes after it."""
    verdict, count, tries, kills = Verdict(), lab.times(20), 0, 0
    while kills < count and tries < 2 * count:  # it may end before so many bytes
        folder = lab.folder("aligned")
        trap = {
            "under": folder,
            "change": 1 + tries % 20 // 3,
            **({"bytes": lab.random.randrange(5_000)} if tries % 3 else {}),
        }
        kills += lab.run(*lab.align(folder), trap=trap).code != 0
        tries += 1
        verdict.add(lab.run(*lab.align(folder)).failure() or compare(folder, lab.aligned))
    verdict.need(kills == count, f"only {kills} kills")
    verdict.happened = f"{kills} kills in {tries} tries, each finished by a second run"
    return verdict


@scenario(
    "zoo build, SIGKILL while it compiles the kernel",
    "compiled by the next run; nothing but libraries is left in the cache",
)
def killed_compile(lab: Lab) -> Verdict:
    """Kill all of its processes when the compiler has run for a second."""
    cache, folder = lab.folder("cache"), lab.folder("zoo")
    process = lab.start(*lab.build(folder), WSKAN_CACHE=cache)
    reached = process.until(lambda: _count(cache, "kernels/*/*.cpp") + _count(cache, "kernels/*/build.ninja") > 0)
    process.until(lambda: False, 1)
    process.kill()
    verdict = Verdict(f"killed, {len(contents(cache))} files in the cache")
    verdict.need(reached, "never saw it compile")
    verdict.add(lab.run(*lab.build(folder), WSKAN_CACHE=cache).failure() or compare(folder, lab.zoo))
    left = sorted({Path(name).parts[1] for name in contents(cache) if len(Path(name).parts) > 2})
    verdict.need(not left, f"left in the cache: {', '.join(left)}")
    return verdict
