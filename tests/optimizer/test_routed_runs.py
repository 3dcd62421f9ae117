"""A routed model goes where torch's own optimizers, one for each part, take it."""

from __future__ import annotations

import pickle

import pytest
import torch

import thalweg as tw
from descents import descend, give_gradients
from networks import TransformerClassifier
from thalweg.errors import NonFiniteGradientError
from tolerances import deviation

BFLOAT16 = 1e-3
"""Of the largest parameter: torch and we iterate in bfloat16, torch one matrix after the other and we a stack."""
ROUTE = tw.route(
    {
        "matrix": tw.chain(tw.muon(), tw.decay(0.1), tw.step(0.02)),
        "*": tw.chain(tw.adam(), tw.decay(0.01), tw.step(3e-3)),
    }
)


def model() -> TransformerClassifier:
    torch.manual_seed(0)
    return TransformerClassifier()


def test_hidden_weights_go_as_torchs_muon_takes_them_and_the_rest_as_its_adamw() -> None:
    routed = tw.Optimizer(model(), ROUTE)
    other = dict(model().named_parameters())
    hidden, rest = ([other[name] for name in group["param_names"]] for group in routed.param_groups)
    assert all(parameter.dim() == 2 for parameter in hidden)
    pair = torch.optim.Muon(hidden, lr=0.02), torch.optim.AdamW(rest, lr=3e-3)
    drivers = [torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5) for optimizer in (routed, *pair)]
    for step in range(8):
        give_gradients([*hidden, *rest], step)
        tensors = [parameter for group in routed.param_groups for parameter in group["params"]]
        give_gradients(tensors, step)
        for optimizer in (routed, *pair):
            optimizer.step()
        for driver in drivers:
            driver.step()
        if step == 4:
            routed = pickle.loads(pickle.dumps(routed))  # noqa: S301  # our own bytes
            drivers[0] = torch.optim.lr_scheduler.StepLR(routed, 3, 0.5, last_epoch=4)
    assert [group["lr"] for group in routed.param_groups] == pytest.approx([0.02 / 4, 3e-3 / 4])
    matrices, others = (group["params"] for group in routed.param_groups)
    assert deviation(matrices, hidden) <= BFLOAT16
    assert deviation(others, rest) <= 1e-6


@pytest.mark.parametrize("bad", ["encoder.layers.0.linear1.weight", "embed.weight"])
def test_a_gradient_that_is_not_finite_on_one_route_stops_all_where_the_step_is_to_be_skipped(bad: str) -> None:
    network = model()
    named = dict(network.named_parameters())
    optimizer = tw.Optimizer(network, ROUTE, nonfinite="skip")
    descend(optimizer, 2)
    before = [parameter.detach().clone() for parameter in named.values()]
    give_gradients(list(named.values()), 2)
    gradient = named[bad].grad
    assert gradient is not None
    gradient.view(-1)[1] = float("nan")
    optimizer.step()
    assert optimizer.skipped == 1
    assert all(torch.equal(a, b) for a, b in zip(before, named.values(), strict=True))
    strict = tw.Optimizer(network, ROUTE)
    with pytest.raises(NonFiniteGradientError, match=f"the gradient of `{bad}` .* has a NaN or an infinity"):
        strict.step()
