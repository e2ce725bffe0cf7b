import dataclasses

import torch
from hypothesis import given, settings
from kans_in_domain import bases, degrees, draw, edges, grids, keeps, seeds

from wskan.kan import edge_functions, fold, negate_neurons, scale_edges, shift_edges


@settings(max_examples=10)
@given(seeds, degrees, bases, grids, keeps)
def test_values_are_those_of_the_layer_and_slopes_their_derivatives(
    seed: int, degree: int, base: str, grid: str, keep: float
) -> None:
    kans, _ = draw(seed, degree, base, grid, keep)
    for layer, (values, slopes) in zip(kans.layers, edge_functions(kans, 5), strict=True):
        low, high = layer.knots[..., degree], layer.knots[..., -1 - degree]  # [K or 1, in or 1]
        middles = (torch.arange(5, dtype=torch.float64) + 0.5) / 5
        x = (low.unsqueeze(1) + middles.unsqueeze(-1) * (high - low).unsqueeze(1)).expand(3, 5, layer.mask.shape[1])
        for p in range(layer.mask.shape[1]):
            only = torch.zeros_like(layer.mask)
            only[:, p] = layer.mask[:, p]
            inputs = x.clone().requires_grad_()
            out = dataclasses.replace(layer, mask=only)(inputs, kans.spec)  # [3, 5, out]
            torch.testing.assert_close(values[:, p].mT, out)
            for q in range(out.shape[2]):
                (gradient,) = torch.autograd.grad(out[..., q].sum(), inputs, retain_graph=True)
                torch.testing.assert_close(slopes[:, p, q], gradient[..., p])


@given(seeds, degrees, bases, grids, keeps)
def test_scale_and_fold_do_not_show_and_a_shift_is_a_constant(
    seed: int, degree: int, base: str, grid: str, keep: float
) -> None:
    kans, _ = draw(seed, degree, base, grid, keep)
    expected = edge_functions(kans, 7)
    for other in (fold(kans), scale_edges(kans, edges(seed))):
        for a, b in zip(edge_functions(other, 7), expected, strict=True):
            torch.testing.assert_close(a, b)
    for (values, slopes), (before, same) in zip(
        edge_functions(shift_edges(kans, edges(seed)), 7), expected, strict=True
    ):
        torch.testing.assert_close(slopes, same, rtol=1e-6, atol=1e-6)
        constant = values - before  # [K, in, out, 7]
        torch.testing.assert_close(constant, constant[..., :1].expand_as(constant), rtol=1e-6, atol=1e-6)
        total = constant.sum(1)
        torch.testing.assert_close(total, torch.zeros_like(total), rtol=1e-6, atol=1e-6)


def test_a_negated_neuron_mirrors_what_leads_away() -> None:
    kans, _ = draw(1, 3, "silu", "adapted", 1.0)
    other = negate_neurons(kans, [torch.ones(3, n, dtype=torch.bool) for n in kans.spec.widths[1:-1]])
    (values, slopes), (mirrored, back) = edge_functions(kans, 6)[-1], edge_functions(other, 6)[-1]
    torch.testing.assert_close(mirrored, values.flip(-1))
    torch.testing.assert_close(back, -slopes.flip(-1))


def test_masked_edges_have_none() -> None:
    kans, _ = draw(0, 3, "silu", "fixed", 0.5)
    for layer, pair in zip(kans.layers, edge_functions(kans, 4), strict=True):
        for values in pair:
            assert torch.equal(values.abs().sum(-1) > 0, layer.mask != 0)
