"""Muon: what orthogonal means, and that a badly scaled problem is no harder to it than a well scaled one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nrn_mlfit.learn import Design
from nrn_mlfit.learn.networks import network_of
from nrn_mlfit.learn.optimizers import ADAM_SHARE, Muon, make_optimizer, orthogonal


@given(st.integers(2, 30), st.integers(2, 30), st.integers(0, 10**6))
def test_an_orthogonalised_matrix_keeps_its_singular_vectors_and_has_singular_values_near_one(rows, columns, seed):
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    left, sizes, right = torch.linalg.svd(matrix, full_matrices=False)
    inner = left.T @ orthogonal(matrix) @ right.T
    large = sizes > 0.02 * sizes.max()  # five iterations do not lift the smallest ones all the way
    assert inner - torch.diag(inner.diag()) == pytest.approx(torch.zeros_like(inner), abs=1e-8)
    assert ((inner.diag()[large] > 0.5) & (inner.diag()[large] < 1.3)).all()


def steps_to_solve(scales, optimizer) -> int:
    """Steps until a linear map is found from inputs whose directions have `scales`."""
    torch.manual_seed(1)
    inputs, wanted = torch.randn(200, len(scales)) * scales, torch.randn(8, len(scales))
    weight = torch.nn.Parameter(torch.zeros(8, len(scales)))
    steps = optimizer(weight)
    for step in range(3000):
        loss = ((inputs @ (weight - wanted).T) / scales.max()).square().mean()
        if ((weight - wanted).norm(dim=0) < 0.2 * wanted.norm(dim=0)).all():
            return step
        weight.grad = torch.autograd.grad(loss, weight)[0]
        steps.step()
    return 3000


def test_directions_of_small_gradients_are_learned_as_fast():
    scales = torch.logspace(0, -2, 16)  # gradients differ by 10^4
    muon = steps_to_solve(scales, lambda w: Muon([{"params": [w]}], 0.02, 0.0, torch.float32))
    plain = steps_to_solve(scales, lambda w: torch.optim.SGD([w], 1.0, momentum=0.95))
    assert muon < 1000 < 3000 <= plain


def test_a_step_has_momentum():
    """With a gradient of zero the weights go on as before, by 0.95 of it, which Muon makes a whole step again."""
    weight = torch.nn.Parameter(torch.zeros(4, 4))
    optimizer = Muon([{"params": [weight]}], 0.1, 0.0, torch.float32)
    weight.grad = torch.eye(4)
    optimizer.step()
    first, weight.grad = weight.detach().clone(), torch.zeros(4, 4)
    optimizer.step()
    assert weight.detach() == pytest.approx(2 * first, rel=1e-3)


def test_hidden_matrices_go_to_muon_and_all_else_to_adam():
    design = Design("d", (8, 8), 5, 1, 4, (16,), optimizer="muon", learning_rate=0.02, stem=(11, 5), norm="batch")
    network = network_of(design, 1, 600, 2)
    optimizer = make_optimizer(network, design.rate, "f32")
    hidden, rest = ({id(p) for p in group["params"]} for group in optimizer.param_groups)
    assert id(network.last.weight) in rest and id(network.body[0].weight) in rest
    assert all(
        (p.ndim >= 2) == (id(p) in hidden)
        for p in network.parameters()
        if p is not network.last.weight and p is not network.body[0].weight
    )
    assert hidden | rest == {id(p) for p in network.parameters()} and not hidden & rest
    assert [group["share"] for group in optimizer.param_groups] == [1.0, ADAM_SHARE]
