"""The folder of zoos, alignments and runs of experiments: existing ones are used, missing ones are made."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from wskan.align import AlignedZoo, align_zoo
from wskan.align.alignment_file import holds_alignment
from wskan.errors import DataError, DivergedError
from wskan.experiments.engine.methods import METHODS
from wskan.experiments.engine.plan import Plan, alignment
from wskan.experiments.engine.processes import cores, ctrl_c_ignored, new_pool
from wskan.files import check_inside, digest, write_atomically
from wskan.locks import hold
from wskan.reading import check, read_json
from wskan.runtime import resolve_device
from wskan.tasks import Device, Run, open_run, read_record, train
from wskan.zoo import Recipe, Zoo, build_zoo

MAX_MEASURED = 16 * 2**20  # bytes
Report = Callable[[Plan, Run | None], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workspace:
    """A folder with ``zoos/``, ``aligned/``, ``runs/`` and ``measured/``, for one experiment at a time.

    Args:
        folder: path, created if absent.
        data_root: see :func:`wskan.signals.load_images`.
        fetch: see :func:`wskan.signals.load_images`.
        device: see :func:`wskan.tasks.train`.
        jobs: number of runs at a time, each in its own process with an equal share of the cores. Two runs with one
            thread each finish sooner than two runs with two threads one after the other.
    """

    folder: Path
    data_root: Path | None = None
    fetch: bool = False
    device: Device = "auto"
    jobs: int = 1

    @property
    def torch_device(self) -> str:
        """Return the device of models, ``"cuda"`` or ``"cpu"``."""
        return resolve_device(self.device).type

    @property
    def threads(self) -> int:
        """Return the number of threads of each run, its share of the cores."""
        return max(1, cores() // self.jobs)

    def zoo_folder(self, recipe: Recipe) -> Path:
        """Return the folder of a zoo, which may not exist yet."""
        return self.folder / "zoos" / f"{recipe.name}-{recipe.digest}"

    def zoo(self, recipe: Recipe, *, progress: bool = False) -> Zoo:
        """Return the zoo of a recipe, and build it if it is missing or unfinished."""
        folder = self.zoo_folder(recipe)
        return build_zoo(
            recipe, folder, data_root=self.data_root, fetch=self.fetch, progress=progress, within=self.folder
        )

    def aligned(self, recipe: Recipe, *, progress: bool = False) -> AlignedZoo:
        """Return the zoo of a recipe, aligned to the mean of its training KANs (appendix D.1)."""
        folder = self.folder / "aligned" / f"{recipe.name}-{recipe.digest}"
        if not holds_alignment(folder):
            check_inside(self.folder, folder)
        return align_zoo(self.zoo(recipe), folder, **alignment(recipe), progress=progress)

    def run_folder(self, plan: Plan) -> Path:
        """Return the folder of a run, which may not exist yet."""
        return self.folder / "runs" / plan.name

    def is_finished(self, plan: Plan) -> bool:
        """Return whether a run is finished."""
        return self._has_record(plan, "finished")

    def diverged(self, plan: Plan) -> bool:
        """Return whether training ended in NaN, which it would do again."""
        return self._has_record(plan, "diverged")

    def _has_record(self, plan: Plan, *states: str) -> bool:
        record = read_record(self.run_folder(plan))
        return record is not None and any(record.get(state) for state in states)

    def open(self, plan: Plan) -> Run:
        """Open a finished run.

        Raises:
            DataError: if its folder holds another run.
        """
        run = open_run(self.run_folder(plan))
        asked = run.record["asked"]
        if wrong := sorted(name for name, value in plan.config.items() if asked.get(name) != value):
            raise DataError(f"{run.folder} holds a run with another {' and '.join(wrong)}; delete it")
        return run

    def zoo_of(self, plan: Plan) -> Zoo:
        """Return the zoo that a run is trained on, aligned if its method is."""
        return self.aligned(plan.recipe) if METHODS[plan.method].aligned else self.zoo(plan.recipe)

    def train(self, plan: Plan, *, progress: bool = False) -> Run:
        """Train or resume a run, or open it if it is finished."""
        if not self.is_finished(plan):
            check_inside(self.folder, self.run_folder(plan))
        return train(
            self.zoo_of(plan),
            self.run_folder(plan),
            task=plan.task,
            model=plan.model,
            features=plan.features,
            config=plan.training,
            train_limit=plan.train_limit,
            device=self.device,
            progress=progress,
        )

    def cached(self, key: Mapping[str, Any], compute: Callable[[], Any], shape: Any) -> Any:
        """Return the result of ``compute`` for this key, which is kept in ``measured/``.

        The result has JSON types of a given shape (:func:`wskan.reading.check`).

        Raises:
            DataError: if the file is damaged, or its value has another shape.
        """
        path = self._measured_path(key)
        if path.exists():
            kept = read_json(path, MAX_MEASURED, "delete it")
            check(kept, {"key": object, "value": object}, f"{path}: a measurement (delete it)")
            if kept["key"] == json.loads(json.dumps(key)):
                check(kept["value"], shape, f"{path}: value (delete it)")
                return kept["value"]
        value = json.loads(json.dumps(compute()))
        try:
            text = json.dumps({"key": key, "value": value}, allow_nan=False)
        except ValueError:  # a value that is not finite is not kept
            return value
        write_atomically(path, lambda to: to.write_text(text), top=self.folder)
        return value

    def is_measured(self, key: Mapping[str, Any]) -> bool:
        """Return whether :meth:`cached` has a result for this key."""
        return self._measured_path(key).exists()

    def _measured_path(self, key: Mapping[str, Any]) -> Path:
        name = digest(dict(key), 16)
        return self.folder / "measured" / f"{name}.json"

    def missing(self, plans: Sequence[Plan]) -> list[Plan]:
        """Return the runs that neither are finished nor have diverged, without duplicates."""
        return [plan for plan in dict.fromkeys(plans) if not self._has_record(plan, "finished", "diverged")]

    def train_all(self, plans: Sequence[Plan], report: Report, recipes: Sequence[Recipe] = ()) -> None:
        """Build the missing zoos and alignments, then train the missing runs.

        Args:
            plans: the runs.
            report: called after each run, with None if it diverged.
            recipes: zoos that are needed in addition to those of the runs.

        Raises:
            DataError: if data is missing, the disk is full, a worker was killed, or another experiment uses the
                folder. Finished zoos and runs are kept.
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
                _train_run(self, plan, progress=True)
                report(plan, self._result(plan))
        else:
            self._train_in_processes(missing, report)

    def _train_in_processes(self, plans: Sequence[Plan], report: Report) -> None:
        pool = new_pool(self.jobs, self.threads)
        try:
            with ctrl_c_ignored():  # workers inherit this, since Ctrl-C would reach them even while they start
                running = {pool.submit(_train_run, self, plan): plan for plan in plans}
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
                f"a training process was killed, perhaps for lack of memory: try --jobs {self.jobs - 1}; "
                "finished runs are kept"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)

    def _result(self, plan: Plan) -> Run | None:
        return None if self.diverged(plan) else self.open(plan)


def _train_run(workspace: Workspace, plan: Plan, progress: bool = False) -> None:
    """Train a run, and return None: a run would be sent through a pipe.

    A run that diverges has this in its record, and does not stop the others.
    """
    with contextlib.suppress(DivergedError):
        workspace.train(plan, progress=progress)
