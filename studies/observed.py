"""Compare forms of observed edges: which learns best, and which reads KANs of a basis that it never saw?

    python -m studies.observed ZOO WORK [--others ZOO ...] [--kans 3500] [--epochs 16] [--only NAME ...]

A WS-KAN of hidden dimension 32 learns from ``--kans`` training KANs of a zoo of images, one seed. Accuracies are in
percent, on the first 1,000 validation KANs, by which a form is chosen, and on the test KANs of other zoos.

- ``observed``: the library's own form (24 of 196 probes for edges).
- ``centred``: each edge minus its mean over probes, so that no shift shows.
- ``scaled``: each edge divided by the spread of its target neuron.
- ``standardised``: activations of each hidden neuron minus their mean, divided by their spread.
- ``sorted``: values of an edge in the order of its source neuron's activations (quantiles).
- ``moved``: images moved at random in training. ``inner``: inner dropout of one half. ``moved_inner``: both.
"""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.common import write
from wskan.graph import FeatureConfig, KANGraph, kan_graph
from wskan.models import WSKANConfig
from wskan.tasks import TrainConfig, data, evaluation, get_task, train
from wskan.zoo import Zoo, open_zoo

FEATURES = FeatureConfig(form="observed", probes=196)
VALIDATION, LEAST = 1_000, 1e-3  # KANs, and the least spread


def centred(graph: KANGraph) -> KANGraph:
    return dataclasses.replace(graph, edges=tuple(edge - edge.mean(-1, keepdim=True) for edge in graph.edges))


def scaled(graph: KANGraph) -> KANGraph:
    spreads = (nodes.std(-1)[:, None, :, None] + LEAST for nodes in graph.nodes[1:])
    return dataclasses.replace(graph, edges=tuple(e / s for e, s in zip(graph.edges, spreads, strict=True)))


def standardised(graph: KANGraph) -> KANGraph:
    hidden = [(v - v.mean(-1, keepdim=True)) / (v.std(-1, keepdim=True) + LEAST) for v in graph.nodes[1:-1]]
    return dataclasses.replace(graph, nodes=(graph.nodes[0], *hidden, graph.nodes[-1]))


def in_order(graph: KANGraph) -> KANGraph:
    edges = [graph.edges[0]]
    for nodes, edge in zip(graph.nodes[1:-1], graph.edges[1:], strict=True):
        order = nodes[..., : edge.shape[-1]].argsort(-1)
        edges.append(edge.gather(-1, order.unsqueeze(2).expand_as(edge)))
    return dataclasses.replace(graph, edges=tuple(edges))


FORMS: dict[str, tuple[Callable[[KANGraph], KANGraph] | None, tuple[str, ...], float]] = {
    "observed": (None, (), 0.0),
    "centred": (centred, (), 0.0),
    "scaled": (scaled, (), 0.0),
    "standardised": (standardised, (), 0.0),
    "sorted": (in_order, (), 0.0),
    "moved": (None, ("affine",), 0.0),
    "inner": (None, (), 0.5),
    "moved_inner": (None, ("affine",), 0.5),
}


class Few(Zoo):
    """A zoo with fewer validation KANs, which are scored each epoch."""

    def split(self, name: str) -> torch.Tensor:
        return super().split(name)[: VALIDATION if name == "val" else None]


def learn(zoo: Zoo, name: str, work: Path, kans: int, epochs: int, others: list[Zoo]) -> dict[str, float]:
    """Train on a form and return its accuracies."""
    change, augment, inner = FORMS[name]
    plain = kan_graph
    if change is not None:
        data.kan_graph = lambda *args: change(plain(*args))
    try:
        model = WSKANConfig(
            widths=zoo.spec.widths,
            edge_dim=FEATURES.edge_dim(zoo.spec),
            node_dim=FEATURES.node_dim(zoo.spec),
            bias_dim=FEATURES.bias_dim,
            out_dim=10,
            hidden=32,
            inner_dropout=inner,
        )
        config = TrainConfig(
            epochs=epochs,
            batch_size=64,
            lr=2e-3,
            precision="bf16",
            patience=0,
            augment=augment,  # type: ignore[arg-type]
        )
        task = get_task("inr-classification")
        run = train(
            zoo, work / name, task=task, model=model, config=config, features=FEATURES, train_limit=kans, device="cpu"
        )
        scores = {"val": run.record["val"]["accuracy"]}
        for other in others:
            scores[other.recipe.name] = evaluation.evaluate(run.model, other, task, FEATURES)["accuracy"]
    finally:
        data.kan_graph = plain
    return {**scores, "train_seconds": run.record["train_seconds"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--others", type=Path, nargs="*", default=[])
    parser.add_argument("--kans", type=int, default=3_500)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--only", nargs="*", default=list(FORMS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    whole, others = open_zoo(args.zoo), [open_zoo(folder) for folder in args.others]
    zoo = Few(whole.folder, whole.manifest)
    forms = {name: learn(zoo, name, args.work, args.kans, args.epochs, others) for name in args.only}
    settings = {"zoo": zoo.digest, "kans": args.kans, "epochs": args.epochs, "hidden": 32, "seed": 0}
    write(f"studies/observed_{zoo.recipe.dataset}", {**settings, "forms": forms})


if __name__ == "__main__":
    main()
