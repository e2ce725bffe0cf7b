"""Learn from the weights of Kolmogorov-Arnold networks (KANs).

Data flows one way, and a room imports only from rooms to its left::

    signals -> kan -> zoo -> graph -> models -> tasks -> plotting -> experiments -> cli
                         \\-> align

- :mod:`wskan.signals`: what KANs are trained on: images and waves.
- :mod:`wskan.kan`: KANs, populations of KANs, their symmetries; fitting and pruning them.
- :mod:`wskan.zoo`: recipes, the builder and the store of trained KANs.
- :mod:`wskan.align`: weight matching of KANs, and aligned zoos.
- :mod:`wskan.graph`: KAN-graphs.
- :mod:`wskan.models`: WS-KAN and its baselines.
- :mod:`wskan.tasks`: targets, training, evaluation, finished runs.
- :mod:`wskan.plotting`: pictures of KANs and scores.
- :mod:`wskan.experiments`: the tables and figures of the paper.
- :mod:`wskan.testing`: symmetry checks and fake zoos, for models of your own.

The names of this module are imported when they are first used, so ``import wskan`` is instant.

Example:
    >>> import torch, wskan
    >>> spec = wskan.KANSpec(widths=(2, 4, 1), grid=5, degree=3)
    >>> kans = wskan.Population.init(spec, seeds=[0, 1, 2])
    >>> kans(torch.zeros(5, 2)).shape  # three KANs at five points
    torch.Size([3, 5, 1])
    >>> wskan.kan_graph(kans).edges[0].shape  # features of the edges between inputs and hidden neurons
    torch.Size([3, 2, 4, 24])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wskan import align, experiments, graph, kan, models, plotting, signals, tasks, testing, zoo
    from wskan.align import align_zoo, merge_many, weight_matching
    from wskan.errors import WSKANError
    from wskan.graph import FeatureConfig, KANGraph, kan_graph, to_pyg
    from wskan.kan import FitConfig, KANSpec, Population, attribution, fit_population, from_pykan
    from wskan.models import WSKAN, MetaNetwork, WSKANConfig, load_model, register_model
    from wskan.tasks import Run, Task, TrainConfig, open_run, register_task, train
    from wskan.zoo import Recipe, Zoo, build_zoo, open_zoo

__version__ = "0.1.0"

_ROOMS = ("align", "experiments", "graph", "kan", "models", "plotting", "signals", "tasks", "testing", "zoo")
_NAMES = {
    "kan": ("FitConfig", "KANSpec", "Population", "attribution", "fit_population", "from_pykan"),
    "zoo": ("Recipe", "Zoo", "build_zoo", "open_zoo"),
    "align": ("align_zoo", "merge_many", "weight_matching"),
    "graph": ("FeatureConfig", "KANGraph", "kan_graph", "to_pyg"),
    "models": ("WSKAN", "MetaNetwork", "WSKANConfig", "load_model", "register_model"),
    "tasks": ("Run", "Task", "TrainConfig", "open_run", "register_task", "train"),
    "errors": ("WSKANError",),
}
_ROOM_OF = {name: room for room, names in _NAMES.items() for name in names}

__all__ = [
    "WSKAN",
    "FeatureConfig",
    "FitConfig",
    "KANGraph",
    "KANSpec",
    "MetaNetwork",
    "Population",
    "Recipe",
    "Run",
    "Task",
    "TrainConfig",
    "WSKANConfig",
    "WSKANError",
    "Zoo",
    "align",
    "align_zoo",
    "attribution",
    "build_zoo",
    "experiments",
    "fit_population",
    "from_pykan",
    "graph",
    "kan",
    "kan_graph",
    "load_model",
    "merge_many",
    "models",
    "open_run",
    "open_zoo",
    "plotting",
    "register_model",
    "register_task",
    "signals",
    "tasks",
    "testing",
    "to_pyg",
    "train",
    "weight_matching",
    "zoo",
]


def __getattr__(name: str) -> Any:
    """Import a room, or a name from its room, when it is first used (PEP 562)."""
    if name in _ROOMS:
        return importlib.import_module(f"wskan.{name}")
    if name in _ROOM_OF:
        value = getattr(importlib.import_module(f"wskan.{_ROOM_OF[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'wskan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
