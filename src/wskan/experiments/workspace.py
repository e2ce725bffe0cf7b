"""Where zoos, alignments and runs of experiments lie: what is there is used, what is missing is made."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import torch

from wskan.align import AlignedZoo, align_zoo
from wskan.align.alignment_file import holds_alignment
from wskan.errors import DataError, DivergedError
from wskan.experiments.methods import METHODS
from wskan.experiments.plan import Plan, alignment
from wskan.files import check_inside, write_atomically
from wskan.locks import hold
from wskan.reading import check, read_json
from wskan.tasks import Device, Run, open_run, read_record, train
from wskan.zoo import Recipe, Zoo, build_zoo

MAX_MEASURED = 16 * 2**20  # bytes
Report = Callable[[Plan, Run | None], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workspace:
    """A folder with ``zoos/``, ``aligned/``, ``runs/`` and ``measured/``. One experiment at a time may work in it.

    Args:
        folder: created if absent.
        data_root, fetch: see :func:`wskan.signals.load_images`.
        device: see :func:`wskan.tasks.train`.
        jobs: runs at a time, each in a process of its own with an equal share of the cores: two runs of one thread each end sooner than two of two threads one after the other.
    """

    folder: Path
    data_root: Path | None = None
    fetch: bool = False
    device: Device = "auto"
    jobs: int = 1

    @property
    def place(self) -> str:
        """``"cuda"`` or ``"cpu"``: where models run."""
        return "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"

    @property
    def threads(self) -> int:
        """Of each run: its share of the cores."""
        return max(1, cores() // self.jobs)

    def zoo_folder(self, recipe: Recipe) -> Path:
        """Where a zoo lies, or would."""
        return self.folder / "zoos" / f"{recipe.name}-{recipe.digest}"

    def zoo(self, recipe: Recipe, *, progress: bool = False) -> Zoo:
        """The zoo of a recipe, built if it is missing or unfinished."""
        folder = self.zoo_folder(recipe)
        return build_zoo(
            recipe, folder, data_root=self.data_root, fetch=self.fetch, progress=progress, within=self.folder
        )

    def aligned(self, recipe: Recipe, *, progress: bool = False) -> AlignedZoo:
        """The same, aligned to the mean of its training KANs (appendix D.1)."""
        folder = self.folder / "aligned" / f"{recipe.name}-{recipe.digest}"
        if not holds_alignment(folder):
            check_inside(self.folder, folder)
        return align_zoo(self.zoo(recipe), folder, **alignment(recipe), progress=progress)

    def run_folder(self, plan: Plan) -> Path:
        """Where a run lies, or would."""
        return self.folder / "runs" / plan.name

    def is_finished(self, plan: Plan) -> bool:
        """Whether a run is there already."""
        return self._recorded(plan, "finished")

    def diverged(self, plan: Plan) -> bool:
        """Whether its training ended in NaN, as it would again."""
        return self._recorded(plan, "diverged")

    def _recorded(self, plan: Plan, *facts: str) -> bool:
        record = read_record(self.run_folder(plan))
        return record is not None and any(record.get(fact) for fact in facts)

    def open(self, plan: Plan) -> Run:
        """A finished run.

        Raises:
            DataError: what lies there is no such run.
        """
        run = open_run(self.run_folder(plan))
        asked = run.record["asked"]
        if wrong := sorted(name for name, value in plan.asked.items() if asked.get(name) != value):
            raise DataError(f"{run.folder} holds a run with another {' and '.join(wrong)}; delete it")
        return run

    def zoo_of(self, plan: Plan) -> Zoo:
        """What a run sees."""
        return self.aligned(plan.recipe) if METHODS[plan.method].aligned else self.zoo(plan.recipe)

    def train(self, plan: Plan, *, progress: bool = False) -> Run:
        """Train, go on with, or open a run."""
        if not self.is_finished(plan):
            check_inside(self.folder, self.run_folder(plan))
        return train(
            self.zoo_of(plan), plan.task, plan.model, plan.training, self.run_folder(plan),
            features=plan.features, train_limit=plan.samples, device=self.device, progress=progress,
        )  # fmt: skip

    def cached(self, key: Mapping[str, Any], compute: Callable[[], Any], shape: Any) -> Any:
        """What ``compute`` returned for this key, or returns now: JSON types of a shape (:func:`wskan.reading.check`), kept in ``measured/``.

        Raises:
            DataError: what is kept there is damaged, or has another shape.
        """
        path = self._measured(key)
        if path.exists():
            kept = read_json(path, MAX_MEASURED, "delete it")
            check(kept, {"key": object, "value": object}, f"{path}: what was measured (delete it)")
            if kept["key"] == json.loads(json.dumps(key)):
                check(kept["value"], shape, f"{path}: value (delete it)")
                return kept["value"]
        value = json.loads(json.dumps(compute()))
        try:
            text = json.dumps({"key": key, "value": value}, allow_nan=False)
        except ValueError:  # what is not finite is not kept
            return value
        write_atomically(path, lambda to: to.write_text(text), top=self.folder)
        return value

    def is_measured(self, key: Mapping[str, Any]) -> bool:
        """Whether :meth:`cached` has it already."""
        return self._measured(key).exists()

    def _measured(self, key: Mapping[str, Any]) -> Path:
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / "measured" / f"{name}.json"

    def missing(self, plans: Sequence[Plan]) -> list[Plan]:
        """Those that neither are finished nor have diverged, each once."""
        return [plan for plan in dict.fromkeys(plans) if not self._recorded(plan, "finished", "diverged")]

    def train_all(self, plans: Sequence[Plan], report: Report, recipes: Sequence[Recipe] = ()) -> None:
        """Make everything that some runs need, then the runs that are missing.

        Args:
            plans: what to train.
            report: called after each, without a run if it diverged.
            recipes: zoos that are needed beside those of the runs.

        Raises:
            DataError: missing data, a full disk, a worker that was killed, or another experiment at work in the folder. What is finished is kept.
        """
        with hold(self.folder, "an experiment is reproduced", inside=("measured",)):
            for recipe in recipes:
                self.zoo(recipe, progress=True)
            self._train_all(self.missing(plans), report)

    def _train_all(self, missing: Sequence[Plan], report: Report) -> None:
        for recipe in {plan.recipe.digest: plan.recipe for plan in missing}.values():
            self.zoo(recipe, progress=True)
        for recipe in {p.recipe.digest: p.recipe for p in missing if METHODS[p.method].aligned}.values():
            self.aligned(recipe, progress=True)
        if self.jobs == 1 or len(missing) < 2:
            for plan in missing:
                _train(self, plan, progress=True)
                report(plan, self._result(plan))
        else:
            self._train_in_processes(missing, report)

    def _train_in_processes(self, plans: Sequence[Plan], report: Report) -> None:
        _start_tracker()
        pool = ProcessPoolExecutor(
            self.jobs, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(self.threads, os.getpid())
        )
        try:
            with _ctrl_c_ignored():  # by the workers, for good: it would hit them while they start, too
                running = {pool.submit(_train, self, plan): plan for plan in plans}
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    plan = running.pop(future)
                    future.result()
                    report(plan, self._result(plan))
        except KeyboardInterrupt:
            for worker in multiprocessing.active_children():
                worker.kill()
            raise
        except BrokenProcessPool as error:
            raise DataError(
                f"a training process was killed, perhaps for want of memory: try --jobs {self.jobs - 1}; "
                "what is finished is kept"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)

    def _result(self, plan: Plan) -> Run | None:
        return None if self.diverged(plan) else self.open(plan)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """By this process, and by all that it starts meanwhile: they inherit it."""
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start_tracker() -> None:
    """Start Python's process that removes semaphores, with SIGHUP blocked: it ignores SIGINT and SIGTERM only, and one that took its place would print a traceback."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, which has no such process
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(threads: int, parent: int) -> None:
    """A process of the pool: its share of the cores, and an end when its parent is killed."""
    torch.set_num_threads(threads)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _train(workspace: Workspace, plan: Plan, progress: bool = False) -> None:
    """Without the run, which would come back through a pipe. One that diverges says so in its record, and stops no other."""
    with contextlib.suppress(DivergedError):
        workspace.train(plan, progress=progress)
