"""Real processes, real signals."""

import gc
import importlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wskan.cli.interrupts import interrupts
from wskan.zoo import build_zoo, open_zoo
from wskan.zoo.manifest import Manifest

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LINE = "wskan: interrupted; finished work is kept, run the same command again to resume"
START = """
import sys
from wskan.cli import main
if "tiny" in sys.argv:
    from wskan.cli import commands
    def parse(*args, parse=commands.parse):
        from wskan.kan import FitConfig, KANSpec
        from wskan.zoo import Recipe, recipes
        recipes.RECIPES["tiny"] = Recipe(name="tiny", dataset="digits", spec=KANSpec(widths=(2, 4, 1), grid=3),
            fit=FitConfig(steps=30, batch_size=32), train=200, val=40, test=40, shard_size=4)
        return parse(*args)
    commands.parse = parse
main()
"""
TINY_TRAINING = [
    "--hidden",
    "8",
    "--layers",
    "1",
    "--epochs",
    "400",
    "--patience",
    "0",
    "--batch-size",
    "16",
    "--device",
    "cpu",
]


def start(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START, *args],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def hit(number: signal.Signals, delay: float, *args: str) -> bool:
    """Return whether the process was interrupted before it was done. Either way it is gone with all its children."""
    with start(*args) as process:
        while process.poll() is None and not handles(process.pid, number):  # Python itself is starting
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(number)
        try:
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    lines = [line for line in told.splitlines() if "note:" not in line]
    assert process.returncode in (0, 128 + number), (delay, told)
    assert process.returncode == 0 or lines == [LINE], (delay, told)
    for _ in range(40):  # children that notice that their parent is gone
        if not group(process.pid):
            return process.returncode != 0
        time.sleep(0.1)
    raise AssertionError(f"children left: {group(process.pid)}")


def handles(process: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = int(re.findall(r"SigCgt:\s*(\w+)", status)[0], 16)
    return bool(caught >> (number - 1) & 1) and bool(caught >> (signal.SIGHUP - 1) & 1)


def group(number: int) -> list[str]:
    """Processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[3] == str(number) and fields[0] != "Z":
            found.append(path.parent.name)
    return found


def litter(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


@pytest.mark.parametrize(("number", "delay"), [*zip(NUMBERS, (0.2, 0.5, 1.0), strict=True)])
def test_signals_while_python_imports(number: signal.Signals, delay: float, tmp_path: Path) -> None:
    assert hit(number, delay, "zoo", "build", "digits-inr", str(tmp_path / "zoo"))


def test_an_interrupted_build_goes_on_to_the_same_zoo(tmp_path: Path) -> None:
    hit(signal.SIGTERM, 3.0, "zoo", "build", "tiny", str(tmp_path / "zoo"))
    assert not litter(tmp_path)
    with start("zoo", "build", "tiny", str(tmp_path / "zoo")) as process:
        assert process.wait(60) == 0
    recipe = Manifest.read(tmp_path / "zoo").recipe
    assert open_zoo(tmp_path / "zoo").checksum == build_zoo(recipe, tmp_path / "again").checksum


def wait(action: Callable[[], object]) -> None:
    """Do something, and wait for what comes of it."""
    action()
    time.sleep(5)


class Forgetful:
    """Gets the signal while it is destroyed."""

    def __init__(self, number: int) -> None:
        self.number, self.itself = number, self

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        time.sleep(0.01)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_during_garbage_collection_is_not_lost(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    with interrupts() as found:
        Forgetful(number)
        with pytest.raises(KeyboardInterrupt):
            wait(gc.collect)
        assert found.number == number
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capsys.readouterr().err == ""


def test_what_comes_twice_at_once_counts_once() -> None:
    with interrupts():
        with pytest.raises(KeyboardInterrupt):
            wait(lambda: os.kill(os.getpid(), signal.SIGTERM))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)


def test_an_import_is_not_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_loaded.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(0.2)\nDONE = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with interrupts():
        with pytest.raises(KeyboardInterrupt):
            wait(lambda: importlib.import_module("half_loaded"))
        assert sys.modules.pop("half_loaded").DONE


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interrupts() as found:
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.05)
    assert found.number is None
    signal.signal(signal.SIGHUP, before)


TRACK = """
import multiprocessing, os, signal, time
from multiprocessing import resource_tracker
from wskan.experiments.engine.processes import start_tracker
start_tracker()
lock = multiprocessing.get_context("spawn").Lock()
os.kill(resource_tracker._resource_tracker._pid, signal.SIGHUP)
time.sleep(0.5)
del lock
os.kill(os.getpid(), signal.SIGHUP)  # heard all the same
"""


def test_sighup_to_the_group_leaves_no_traceback_of_semaphores() -> None:
    ended = subprocess.run([sys.executable, "-c", TRACK], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGHUP, "")


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_ten_interruptions_anywhere(number: signal.Signals, tmp_path: Path) -> None:
    draw, zoo = random.Random(int(number)), str(tmp_path / "zoo")
    hits = sum(hit(number, draw.uniform(0, 2.5), "zoo", "build", "tiny", zoo) for _ in range(10))
    assert hits, "or nothing was tried"
    with start("zoo", "build", "tiny", zoo) as process:
        assert process.wait(120) == 0
    train = ["train", zoo, str(tmp_path / "run"), *TINY_TRAINING]
    hits = sum(hit(number, draw.uniform(0, 8), *train) for _ in range(10))
    assert hits, "or nothing was tried"
    work = ["reproduce", "table6", "--scale", "smoke", "--jobs", "1", "--device", "cpu"]
    folders = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    hits = sum(hit(number, draw.uniform(0, 15), *work, *folders) for _ in range(10))
    assert hits, "or nothing was tried"
    assert not [path for path in litter(tmp_path) if "checkpoints" not in path.parts]
