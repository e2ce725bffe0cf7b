"""BatchSampler of graphs out of a zoo. Parameters stay in large tensors; a batch is one indexing operation, with no worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from wskan.errors import DataError
from wskan.graph import FeatureConfig, FeatureStatistics, KANGraph, concatenate, feature_statistics, kan_graph
from wskan.kan import Population
from wskan.models import MetaNetwork
from wskan.models.baselines.edge_set import flat_edge_mask
from wskan.tasks.augmentation import Symmetry, augment, augment_edges, input_map
from wskan.tasks.task import Task
from wskan.zoo import Zoo

MEMORY_LIMIT = 6 * 2**30  # bytes of parameters that are read into memory; beyond it, batches come from the files
GRAPH_LIMIT = 2 * 2**30  # bytes of graphs that are made once, where nothing about them is random


class BatchIndices(NamedTuple):
    """What makes up a batch of training.

    Attributes:
        places: of the KANs in their split.
        seed: of what is random about them.
    """

    places: list[int]
    seed: int


class GraphDataset(Dataset[tuple[KANGraph, Tensor]]):
    """Graphs and targets of one split; indexed by a list of places in the split, as they are, or by a :class:`BatchIndices`, augmented.

    Args:
        zoo: where the KANs come from.
        split: ``"train"``, ``"val"`` or ``"test"``.
        task: gives the targets.
        features: choice of features.
        device: where parameters and batches live.
        memory_limit: read the whole split into memory if its parameters take no more bytes than this. Graphs that are not augmented are made once, if a third of it (and no more
            than 2 GiB) holds them.
        limit: use only the first so many KANs of the split.
        augment: symmetries for each :class:`BatchIndices`.

    Raises:
        DataError: the zoo has no KANs in this split, or lacks what the task needs.
    """

    def __init__(
        self,
        zoo: Zoo,
        split: str,
        task: Task,
        features: FeatureConfig,
        *,
        device: torch.device | str = "cpu",
        memory_limit: int = MEMORY_LIMIT,
        limit: int | None = None,
        augment: Sequence[Symmetry] = (),
    ) -> None:
        task.check(zoo)
        self.augment = tuple(augment)
        self.zoo, self.task, self.features, self.device = zoo, task, features, torch.device(device)
        if limit is not None and limit < 1:
            raise DataError(f"limit must be at least 1, got {limit}")
        self.rows = zoo.split(split)[:limit]
        if len(self.rows) == 0:
            raise DataError(f"the zoo in {zoo.folder} has no {split} KANs")
        self.targets = task.targets(zoo, self.rows).to(self.device)
        self.graphs: KANGraph | None = None
        self.population: Population | None = None  # as stored; a batch is widened when it is drawn
        if not self.augment and self._graph_bytes() <= min(GRAPH_LIMIT, memory_limit // 3):
            self.graphs = concatenate(self._all_graphs(), len(self))
        elif zoo.dtype.itemsize * zoo.spec.num_parameters * len(self.rows) <= memory_limit:
            self.population = zoo.population(self.rows, stored=True).to(self.device)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, draw: BatchIndices | list[int]) -> tuple[KANGraph, Tensor]:
        index = torch.as_tensor(draw.places if isinstance(draw, BatchIndices) else draw)
        target = self.targets[index.to(self.device)]
        if self.graphs is not None:
            graph = self.graphs[index.to(self.device)]
        else:
            population, inputs = self._population(index), None
            if isinstance(draw, BatchIndices):
                population = augment(population, self.augment, draw.seed)
                if self.task.readout == "edge":
                    target = augment_edges(target, self.zoo.spec.widths, self.augment, draw.seed)
                inputs = input_map(population, self.features, self.augment, draw.seed)
            graph = kan_graph(population, self.features, inputs)
        if self.task.readout == "edge" and (exist := flat_edge_mask(graph)) is not None:
            target = target.masked_fill(~exist, self.task.absent)
        return graph, target

    def _population(self, index: Tensor) -> Population:
        """Single precision, on the device."""
        if self.population is None:
            return self.zoo.population(self.rows[index], stored=True).to(self.device).to(torch.float32)
        return self.population[index.to(self.device)].to(torch.float32)

    def _all_graphs(self) -> Iterator[KANGraph]:
        for places in torch.split(torch.arange(len(self)), self._few):
            yield kan_graph(self._population(places), self.features)

    @property
    def _few(self) -> int:
        """KANs that have no more than 2^25 numbers, nor are more than 512."""
        return max(1, min(512, 2**25 // self.zoo.spec.num_parameters))

    def _graph_bytes(self) -> int:
        spec, features = self.zoo.spec, self.features
        numbers = spec.num_edges * features.edge_dim(spec) + sum(spec.widths) * features.node_dim(spec)
        return 4 * numbers * len(self)

    @torch.no_grad()
    def statistics(self, batch_size: int | None = None, *, model: MetaNetwork | None = None) -> FeatureStatistics:
        """Measure the features of this split, or what a model (on the CPU) observes of them, in small batches."""
        size = batch_size or self._few

        def batches() -> Iterator[KANGraph]:
            for begin in range(0, len(self), size):
                graph = self[list(range(begin, min(begin + size, len(self))))][0].to("cpu")
                yield graph if model is None else model.observe(graph)

        return feature_statistics(batches(), self.features.bias_dim if model is None else model.config.observed[2])


def graph_loader(
    dataset: GraphDataset, batch_size: int, *, shuffle_seed: int | None = None
) -> DataLoader[tuple[KANGraph, Tensor]]:
    """BatchSampler of a split, in order, or shuffled (and augmented, if the data set is to be) anew each epoch.

    When shuffled, the last incomplete batch is left out: all then have one shape, as ``torch.compile`` likes.
    """
    return DataLoader(dataset, batch_size=None, sampler=BatchSampler(len(dataset), batch_size, shuffle_seed))


class BatchSampler(Sampler[BatchIndices | list[int]]):
    """Places of each batch, and when shuffled its seed: functions of (seed, epoch), so that a run that goes on sees what it would have seen.

    Each pass moves on to the next epoch; Lightning calls :meth:`set_epoch` before.
    """

    def __init__(self, size: int, batch_size: int, shuffle_seed: int | None) -> None:
        self.size, self.batch_size, self.shuffle_seed, self.epoch = size, batch_size, shuffle_seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size // self.batch_size if self._drop_last else -(-self.size // self.batch_size)

    def __iter__(self) -> Iterator[BatchIndices | list[int]]:
        if self.shuffle_seed is None:
            yield from self._cut(torch.arange(self.size))
            return
        generator = torch.Generator().manual_seed((self.shuffle_seed << 20) + self.epoch)
        self.epoch += 1
        batches = self._cut(torch.randperm(self.size, generator=generator))
        seeds = torch.randint(2**63 - 1, (len(self),), generator=generator)
        yield from map(BatchIndices, batches, seeds.tolist())

    def _cut(self, order: Tensor) -> list[list[int]]:
        return [batch.tolist() for batch in torch.split(order, self.batch_size)[: len(self)]]

    @property
    def _drop_last(self) -> bool:
        return self.shuffle_seed is not None and self.size >= self.batch_size
