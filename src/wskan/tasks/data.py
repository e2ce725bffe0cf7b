"""Batches of KAN-graphs from a zoo.

Parameters stay in large tensors. Each batch is one indexing operation, without worker processes.
"""

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

MEMORY_LIMIT = 6 * 2**30  # bytes of parameters to read into memory; batches of larger splits are read from files
GRAPH_LIMIT = 2 * 2**30  # bytes of graphs that are made once and kept


class BatchIndices(NamedTuple):
    """The KANs of a training batch, and the seed of their augmentation.

    Attributes:
        indices: positions of the KANs in their split.
        seed: seed of their augmentation.
    """

    indices: list[int]
    seed: int


class GraphDataset(Dataset[tuple[KANGraph, Tensor]]):
    """The graphs and targets of one split.

    A list of positions in the split selects graphs without augmentation, :class:`BatchIndices` with augmentation.

    Args:
        zoo: zoo of the KANs.
        split: ``"train"``, ``"val"`` or ``"test"``.
        task: task that defines the targets.
        features: choice of features.
        device: device of parameters and batches.
        memory_limit: read the whole split into memory if its parameters take no more bytes than this. Graphs that are
            not augmented are made once if they take at most a third of it, and at most 2 GiB.
        limit: use only the first KANs of the split, this many.
        augment: symmetries that are drawn for each :class:`BatchIndices`.

    Raises:
        DataError: the zoo has no KANs in this split, or lacks columns that the task needs.
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
        self.population: Population | None = None  # as stored; each batch is converted to single precision
        if not self.augment and self._graph_bytes() <= min(GRAPH_LIMIT, memory_limit // 3):
            self.graphs = concatenate(self._all_graphs(), len(self))
        elif zoo.dtype.itemsize * zoo.spec.num_parameters * len(self.rows) <= memory_limit:
            self.population = zoo.population(self.rows, stored=True).to(self.device)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, draw: BatchIndices | list[int]) -> tuple[KANGraph, Tensor]:
        index = torch.as_tensor(draw.indices if isinstance(draw, BatchIndices) else draw)
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
        """Return KANs in single precision, on the device."""
        if self.population is None:
            return self.zoo.population(self.rows[index], stored=True).to(self.device).to(torch.float32)
        return self.population[index.to(self.device)].to(torch.float32)

    def _all_graphs(self) -> Iterator[KANGraph]:
        for index in torch.split(torch.arange(len(self)), self._chunk_size):
            yield kan_graph(self._population(index), self.features)

    @property
    def _chunk_size(self) -> int:
        """Number of KANs that have at most 2^25 parameters; at most 512."""
        return max(1, min(512, 2**25 // self.zoo.spec.num_parameters))

    def _graph_bytes(self) -> int:
        spec, features = self.zoo.spec, self.features
        numbers = spec.num_edges * features.edge_dim(spec) + sum(spec.widths) * features.node_dim(spec)
        return 4 * numbers * len(self)

    @torch.no_grad()
    def statistics(self, batch_size: int | None = None, *, model: MetaNetwork | None = None) -> FeatureStatistics:
        """Compute mean and standard deviation of the features of this split, in small batches.

        Args:
            batch_size: graphs per batch, by default as many as fit in little memory.
            model: a model on the CPU. If given, the statistics are those of the features that it observes.
        """
        size = batch_size or self._chunk_size

        def batches() -> Iterator[KANGraph]:
            for begin in range(0, len(self), size):
                graph = self[list(range(begin, min(begin + size, len(self))))][0].to("cpu")
                yield graph if model is None else model.observe(graph)

        return feature_statistics(batches(), self.features.bias_dim if model is None else model.config.observed[2])


def graph_loader(
    dataset: GraphDataset, batch_size: int, *, shuffle_seed: int | None = None
) -> DataLoader[tuple[KANGraph, Tensor]]:
    """Make a loader that yields the batches of a split.

    Args:
        dataset: graphs of the split.
        batch_size: graphs per batch.
        shuffle_seed: shuffle and augment the graphs differently in each epoch. The last batch is left out if it is
            incomplete, so that all batches have the same shape. If not given, graphs come in order and unchanged.
    """
    sampler = BatchSampler(len(dataset), batch_size, shuffle_seed)
    generator = torch.Generator()  # otherwise each pass would draw from the global generator
    return DataLoader(dataset, batch_size=None, sampler=sampler, generator=generator)


class BatchSampler(Sampler[BatchIndices | list[int]]):
    """The indices of each batch, with a seed for augmentation if they are shuffled.

    Both depend only on the seed and the epoch. So a resumed run gets the same batches as an uninterrupted one. Each
    pass advances to the next epoch. Lightning calls :meth:`set_epoch` before a pass.
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
