"""Chains with a matrix method, in every form, and what steps the same by the method alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import thalweg as tw
from thalweg.chain import Whole
from thalweg.matrix import as_matrix, get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

    from thalweg.chain import Chain

SHAPES = ((6, 4), (4, 6), (6, 4), (5, 5), (4, 3, 2, 2), (6, 4))
"""Matrices, three of them alike, and a convolution."""
STAGES: dict[str, Callable[[], Whole]] = {
    "full matrix": lambda: tw.full_matrix_adagrad(s0=1e-3),
    "shampoo": lambda: tw.shampoo(eps=1e-4),
    "shampoo, grafted": lambda: tw.shampoo(eps=1e-4, every=3, beta2=0.9, graft="adam", largest=5),
    "soap": lambda: tw.soap(every=3),
    "muon": tw.muon,
    "muon, exact": lambda: tw.muon(polar="svd", nesterov=False),
    "psgd": lambda: tw.psgd_kron(momentum=0.9, max_skew=2.0),
}
CHAINS: dict[str, Callable[[], Chain]] = {
    **{name: lambda stage=stage: tw.chain(stage(), tw.step(0.02)) for name, stage in STAGES.items()},
    "momentum before": lambda: tw.chain(tw.heavy_ball(form="averaged"), tw.shampoo(eps=1e-4), tw.step(0.02)),
    "momentum behind": lambda: tw.chain(tw.shampoo(eps=1e-4), tw.heavy_ball(form="torch"), tw.step(0.02)),
    "all around": lambda: tw.chain(
        tw.clip(1.0),
        tw.mars(),
        tw.muon(),
        tw.cautious(),
        tw.decay(0.1),
        tw.clip(2.0, per="tensor"),
        tw.step(tw.cosine(0.02, steps=50)),
        tw.ema(beta=0.5),
    ),
}
"""Each on its own; with states before it and behind it; between stages that gather over tensors and over the model."""


ONE_BY_ONE = {"muon": 2**-7, "all around": 2**-7}
"""Where an iteration in bfloat16 depends on how many matrices there are: a library sums in another order."""
APART = [name for name in CHAINS if name != "all around"]
"""Chains that step a tensor without a look at others."""


def optimizer_of(name: str, params: Iterable[Any], **settings: Any) -> tw.Optimizer:
    """An optimizer that steps by one of the chains."""
    return tw.Optimizer(params, CHAINS[name](), **settings)


def gradient_of(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def directions(chain: Chain, gradients: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    """What the matrix method of a chain makes of these gradients, each tensor by itself."""
    stage = next(stage for stage in chain.stages if isinstance(stage, Whole))
    numbers: dict[str, Any] = dict(stage.values)
    rule = get(stage.rule.name)
    states: list[dict[str, Tensor]] = []
    made: list[list[Tensor]] = []
    for step, some in enumerate(gradients, start=1):
        stacks = [g.detach().reshape(1, *as_matrix(g.shape)) for g in some]
        states = states or [rule.begin(stack, numbers) for stack in stacks]
        pairs = zip(stacks, states, strict=True)
        whole = [rule.direction(stack, own, numbers, step) for stack, own in pairs]
        made.append([direction.reshape(g.shape).to(g.dtype) for direction, g in zip(whole, some, strict=True)])
    return made
