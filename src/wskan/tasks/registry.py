"""All tasks by name."""

from __future__ import annotations

from wskan.errors import DataError
from wskan.tasks.inr_classification import INRClassification
from wskan.tasks.pruning_mask import PruningMask
from wskan.tasks.pruning_scores import PruningScores
from wskan.tasks.regression import AccuracyPrediction, FrequencyRegression
from wskan.tasks.task import Task
from wskan.zoo import Zoo

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (INRClassification, FrequencyRegression, AccuracyPrediction, PruningMask, PruningScores)
}


def get_task(name: str, zoo: Zoo | None = None) -> Task:
    """A task by name; ``"auto"`` takes the first that fits the zoo.

    Raises:
        DataError: there is none of that name, or none that fits.
    """
    if name == "auto" and zoo is not None:
        for task in TASKS.values():
            if task().fits(zoo):
                return task()
        raise DataError(f"no task fits the columns {sorted(zoo.columns)} of {zoo.folder}")
    if name not in TASKS:
        raise DataError(
            f"no task {name!r:.100}; there are {', '.join(TASKS)} (one of your own: wskan.tasks.TASKS[name] = its class)"
        )
    return TASKS[name]()
