"""A test class for models: inherit it, override :meth:`ModelConformance.build`, and pytest runs all its tests."""

from __future__ import annotations

import dataclasses
import tempfile
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from wskan.graph import FeatureConfig, KANGraph, collate, feature_statistics, kan_graph
from wskan.models import MetaNetwork, Standardize, load_model, save_model
from wskan.runtime import random_state
from wskan.tasks.output import flatten_output
from wskan.testing.equivariance import assert_equivariant, equivariance_error, random_permutation
from wskan.testing.fakes import random_population

Readout = Literal["graph", "edge"]


class ModelConformance:
    """Tests that every model must pass.

    To use it, set the attributes, override :meth:`build`, and enter the model in :data:`wskan.models.MODELS`.

    Attributes:
        invariant: whether permuting hidden neurons must leave the output unchanged (or permute it). If not, the output
            must change.
        any_width: whether the model takes hidden widths other than those of its configuration.
        sees_topology: whether the output must change when edges are exchanged in a way that is not a symmetry.
        readouts: the readouts of the model.
    """

    invariant: ClassVar[bool] = True
    any_width: ClassVar[bool] = True
    sees_topology: ClassVar[bool] = True
    readouts: ClassVar[tuple[Readout, ...]] = ("graph", "edge")
    widths: ClassVar[tuple[int, ...]] = (2, 5, 4, 3)

    def build(self, **config: Any) -> MetaNetwork:
        """Return a new model from the keywords of :class:`wskan.models.ModelConfig` except ``model``."""
        raise NotImplementedError

    def model(self, readout: Readout, graph: KANGraph, seed: int = 0, bias_dim: int = 0) -> MetaNetwork:
        """Return a small model in evaluation mode, with perturbed weights, as new ones may be symmetric by accident."""
        with random_state(seed):
            model = self.build(
                widths=self.widths,
                edge_dim=graph.edge_dim,
                node_dim=graph.node_dim,
                bias_dim=bias_dim,
                out_dim=3,
                readout=readout,
                hidden=16,
                num_layers=2,
            )
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))
                model.standardize.set(feature_statistics([model.observe(graph)], model.config.observed[2]))
        return model.eval()

    def graph(
        self, size: int = 6, seed: int = 0, *, keep: float = 0.8, widths: tuple[int, ...] | None = None
    ) -> KANGraph:
        """Return KAN-graphs with absent edges and node features."""
        return kan_graph(random_population(widths or self.widths, size, seed, keep=keep), FeatureConfig(knots=True))

    def test_shapes(self) -> None:
        graph = self.graph()
        for readout in self.readouts:
            output = self.model(readout, graph)(graph)
            if isinstance(output, Tensor):
                assert output.shape == (len(graph), 3)
            else:
                assert [tuple(block.shape) for block in output] == [(*edges.shape[:3], 3) for edges in graph.edges]

    def test_symmetry(self) -> None:
        for readout in self.readouts:
            for seed in range(3):
                graph = self.graph(seed=seed)
                model = self.model(readout, graph, seed)
                if self.invariant:
                    assert_equivariant(model, graph, seed=seed)
                else:
                    assert equivariance_error(model, graph, random_permutation(graph.widths, seed)) > 1e-3, (
                        "the model is invariant, but invariant is False"
                    )

    def test_not_symmetric_to_more(self) -> None:
        """Check that the output changes if outgoing edges of hidden neurons are permuted without the incoming ones."""
        if not (self.invariant and self.sees_topology):
            return
        graph = self.graph(keep=1.0)
        edges = (*graph.edges[:-1], graph.edges[-1].flip(1))
        other = dataclasses.replace(graph, edges=edges)
        for readout in self.readouts:
            model = self.model(readout, graph)
            plain, changed = flatten_output(model(graph)), flatten_output(model(other))
            if readout == "edge":
                changed = flatten_output([*model(other)[:-1], model(other)[-1].flip(1)])
            assert (plain - changed).abs().max() > 1e-4 * plain.abs().max(), (
                "the model ignores which edges share a neuron"
            )

    def test_every_bias_is_read(self) -> None:
        """Check that biases of all layers except the inputs change the output, and that the model stays symmetric."""
        kans = random_population(self.widths, 6, 0, keep=1.0)
        graph = kan_graph(kans, FeatureConfig(form="gauge", knots=True))
        for readout in self.readouts:
            model = self.model(readout, graph, bias_dim=1)
            plain = flatten_output(model(graph))
            if self.invariant:
                assert_equivariant(model, graph)
            for index in range(1, len(graph.nodes)):
                nodes = [nodes.clone() for nodes in graph.nodes]
                nodes[index][:, 0, 0] += 1
                changed = flatten_output(model(dataclasses.replace(graph, nodes=tuple(nodes))))
                assert (plain - changed).abs().max() > 1e-4 * plain.abs().max(), (
                    f"the model ignores biases of layer {index}"
                )

    def test_features_are_standardized(self) -> None:
        """Check that the model standardises features by its statistics, as if graphs were standardised before."""
        graph = self.graph()
        for readout in self.readouts:
            model = self.model(readout, graph)
            plain, standard = flatten_output(model(graph)), model.standardize(graph)
            model.standardize = Standardize(graph.edge_dim, graph.node_dim)
            torch.testing.assert_close(flatten_output(model(standard)), plain, rtol=1e-4, atol=1e-4)

    def test_a_batch_is_its_graphs_one_by_one(self) -> None:
        graph = self.graph()
        for readout in self.readouts:
            model = self.model(readout, graph)
            together = flatten_output(model(graph))
            alone = torch.cat([flatten_output(model(graph[index])) for index in range(len(graph))])
            torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)

    def test_padding_changes_nothing(self) -> None:
        if not self.any_width or "graph" not in self.readouts:
            return
        wider = (self.widths[0], *(n + 3 for n in self.widths[1:-1]), self.widths[-1])
        narrow, wide = self.graph(3, 1), self.graph(3, 2, widths=wider)
        model, batch = self.model("graph", narrow), collate([narrow, wide])
        torch.testing.assert_close(model(batch), torch.cat([model(narrow), model(wide)]), rtol=1e-4, atol=1e-4)

    def test_all_parameters_are_trained(self) -> None:
        graph = self.graph()
        for readout in self.readouts:
            model = self.model(readout, graph)
            flatten_output(model(graph)).square().sum().backward()  # type: ignore[no-untyped-call]
            idle = [
                name
                for name, p in model.named_parameters()
                if p.grad is None or not bool(p.grad.isfinite().all()) or not bool(p.grad.any())
            ]
            assert not idle, f"no gradient reaches {idle}"

    def test_saved_and_loaded_it_is_the_same(self) -> None:
        graph = self.graph()
        for readout in self.readouts:
            model = self.model(readout, graph)
            with tempfile.TemporaryDirectory() as folder:
                save_model(model, folder)
                loaded = load_model(folder)
            assert loaded.config == model.config
            assert torch.equal(flatten_output(loaded(graph)), flatten_output(model(graph)))
