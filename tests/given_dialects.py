"""Chains that step by more than gradients, and the oracle that is given the same and computes them by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import thalweg as tw
from oracles import ORACLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oracles.protocol import Array
    from thalweg.chain import Chain


class GivenOracle(Protocol):
    """An oracle of a whole model."""

    def step(self, gradients: Sequence[Array], loss: float) -> list[Array]: ...


@dataclass(frozen=True)
class GivenDialect:
    """A chain as we type it, without its rate, and an oracle with its numbers under its own names."""

    name: str
    chain: Callable[[Callable[[int], float]], Chain]
    oracle: Callable[..., GivenOracle]
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    rate: float = 0.01

    def schedule(self, k: int) -> float:
        """The rate after k steps."""
        return self.rate / (1 + 0.1 * k)

    def __str__(self) -> str:
        return self.name


class IRpropPlusOfModel:
    """`rprop.IRpropPlus` for each tensor, all with the model's loss."""

    def __init__(self, p0: Sequence[Array], lr: Callable[[int], float], **settings: float) -> None:
        self.oracles = [ORACLES["rprop", "improved_plus"](p, lr(0), **settings) for p in p0]

    def step(self, gradients: Sequence[Array], loss: float) -> list[Array]:
        return [oracle.step(g, loss) for oracle, g in zip(self.oracles, gradients, strict=True)]


_SIZES = {"eta_minus": 0.4, "eta_plus": 1.3, "delta_min": 1e-3, "delta_max": 0.5}

GIVEN_DIALECTS = (
    GivenDialect(
        "irprop+",
        lambda rate: tw.chain(tw.rprop(delta0=rate(0), **_SIZES, form="irprop+")),
        IRpropPlusOfModel,
        _SIZES,
        rate=0.05,
    ),
)
