"""The registry of tasks."""

from __future__ import annotations

from typing import TypeVar

from wskan.errors import DataError, did_you_mean
from wskan.reading import shown
from wskan.tasks.inr_classification import INRClassification
from wskan.tasks.pruning_mask import PruningMask
from wskan.tasks.pruning_scores import PruningScores
from wskan.tasks.regression import AccuracyPrediction, FrequencyRegression
from wskan.tasks.task import Task
from wskan.zoo import Zoo

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (INRClassification, FrequencyRegression, AccuracyPrediction, PruningMask, PruningScores)
}
"""All tasks by name. ``"auto"`` tries them in this order."""

T = TypeVar("T", bound=Task)


def register_task(cls: type[T]) -> type[T]:
    """Register a task in :data:`TASKS` under its ``name``, as a decorator of its class.

    Raises:
        DataError: another task has this name.

    Example:
        >>> import wskan
        >>> from wskan.tasks import Regression
        >>> @wskan.register_task
        ... class NoisePrediction(Regression):
        ...     name, columns, out_dim = "noise-prediction", ("noise",), 1
        ...     center, spread = 0.5, 12**-0.5
        >>> _ = wskan.tasks.TASKS.pop("noise-prediction")  # forget it again
    """
    if cls.name in TASKS and TASKS[cls.name].__qualname__ != cls.__qualname__:
        raise DataError(f"the name {shown(cls.name)} belongs to {TASKS[cls.name].__name__}; choose another")
    TASKS[cls.name] = cls
    return cls


def get_task(name: str, zoo: Zoo | None = None) -> Task:
    """Make a task by name; ``"auto"`` takes the first whose targets the zoo contains.

    Raises:
        DataError: there is no task of that name, or no task fits the zoo.
    """
    if name == "auto" and zoo is not None:
        for task in TASKS.values():
            if task().fits(zoo):
                return task()
        raise DataError(f"no task fits the columns {sorted(zoo.columns)} of {zoo.folder}; name a task")
    if name not in TASKS:
        raise DataError(
            f"no task {shown(name)}{did_you_mean(name, TASKS)}; there are {', '.join(TASKS)} "
            "(wskan.register_task adds one of your own)"
        )
    return TASKS[name]()
