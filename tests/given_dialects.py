"""Chains that step by more than gradients, and the oracle that is given the same and computes them by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import thalweg as tw
from oracles import ORACLES, esgd, sophia, vsgd
from oracles.protocol import float64s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oracles.protocol import Array
    from thalweg.chain import Chain


@dataclass(frozen=True)
class Given:
    """What a step is given besides gradients; `curvature` is None at one without a new estimate."""

    loss: float
    curvature: Sequence[Array] | None


class GivenOracle(Protocol):
    """An oracle of a whole model."""

    def step(self, gradients: Sequence[Array], given: Given) -> Sequence[Array]: ...


@dataclass(frozen=True)
class GivenDialect:
    """A chain as we type it, without its rate, and an oracle with its numbers under its own names."""

    name: str
    chain: Callable[[Callable[[int], float]], Chain]
    oracle: Callable[..., GivenOracle]
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    rate: float = 0.01
    every: int = 4
    """After how many steps there is a new estimate of the curvature."""
    is_positive: bool = False
    """Whether the estimates are never negative."""

    def schedule(self, k: int) -> float:
        """The rate after k steps."""
        return self.rate / (1 + 0.1 * k)

    def __str__(self) -> str:
        return self.name


class IRpropPlus:
    """`rprop.IRpropPlus` for each tensor, all with the model's loss."""

    def __init__(self, p0: Sequence[Array], lr: Callable[[int], float], **settings: float) -> None:
        self.oracles = [ORACLES["rprop", "improved_plus"](p, lr(0), **settings) for p in p0]

    def step(self, gradients: Sequence[Array], given: Given) -> list[Array]:
        return [oracle.step(g, given.loss) for oracle, g in zip(self.oracles, gradients, strict=True)]


class Curved:
    """`sophia.Paper`, or another that takes the diagonal as it comes."""

    def __init__(
        self, oracle: Callable[..., Any], p0: Sequence[Array], lr: Callable[[int], float], **settings: float
    ) -> None:
        self.oracle = oracle(p0, lr, **settings)

    def step(self, gradients: Sequence[Array], given: Given) -> list[Array]:
        return self.oracle.step(gradients, given.curvature)


class ESGD:
    """`esgd.Paper`, which takes the squares of products."""

    def __init__(self, p0: Sequence[Array], lr: Callable[[int], float], **settings: float) -> None:
        self.oracle = esgd.Paper(p0, lr, **settings)

    def step(self, gradients: Sequence[Array], given: Given) -> list[Array]:
        return self.oracle.step(gradients, None if given.curvature is None else [hv**2 for hv in given.curvature])


class VSGD:
    """An oracle whose samples at the start are the first steps; its rate goes on counting meanwhile."""

    def __init__(
        self,
        oracle: Callable[..., Any],
        p0: Sequence[Array],
        lr: Callable[[int], float],
        *,
        samples: int,
        **settings: float,
    ) -> None:
        self.p, self.lr, self.count = float64s(p0), lr, samples
        self.begin = partial(oracle, **settings)
        self.samples: list[tuple[Sequence[Array], Sequence[Array]]] = []
        self.oracle: Any = None

    def step(self, gradients: Sequence[Array], given: Given) -> list[Array]:
        assert given.curvature is not None
        if self.oracle is not None:
            return self.oracle.step(gradients, given.curvature)
        self.samples.append((gradients, given.curvature))
        if len(self.samples) == self.count:
            self.oracle = self.begin(self.p, lambda k: self.lr(k + self.count), bootstrap=self.samples)
        return float64s(self.p)


def _curved(oracle: Callable[..., Any]) -> Callable[..., Curved]:
    return lambda p0, lr, **settings: Curved(oracle, p0, lr, **settings)


_SIZES = {"eta_minus": 0.4, "eta_plus": 1.3, "delta_min": 1e-3, "delta_max": 0.5}
_BETAS = {"beta1": 0.8, "beta2": 0.7}

GIVEN_DIALECTS = (
    GivenDialect(
        "irprop+",
        lambda rate: tw.chain(tw.rprop(delta0=rate(0), **_SIZES, form="irprop+")),
        IRpropPlus,
        _SIZES,
        rate=0.05,
    ),
    GivenDialect(
        "sophia",
        lambda rate: tw.chain(tw.sophia(**_BETAS, gamma=2.0, eps=0.1), tw.decay(0.1), tw.step(rate)),
        _curved(sophia.Paper),
        {**_BETAS, "gamma": 2.0, "eps": 0.1, "weight_decay": 0.1},
    ),
    GivenDialect(
        "sophia of the authors' code",
        lambda rate: tw.chain(tw.sophia(**_BETAS, gamma=2.0, eps=1e-15, epsilon="added"), tw.decay(0.1), tw.step(rate)),
        _curved(sophia.GaussNewtonOfCode),
        {**_BETAS, "rho": 2.0, "batch_size": 1.0, "weight_decay": 0.1},
        is_positive=True,
    ),
    GivenDialect("esgd", lambda rate: tw.chain(tw.esgd(damping=0.1), tw.step(rate)), ESGD, {"damping": 0.1}),
    GivenDialect(
        "vsgd",
        lambda rate: tw.chain(tw.vsgd(samples=5, slow_start=3.0), tw.step(rate)),
        partial(VSGD, vsgd.ElementWise),
        {"samples": 5, "slow_start": 3.0},
        rate=1.0,
        every=1,
    ),
    GivenDialect(
        "vsgd by differences",
        lambda rate: tw.chain(
            tw.vsgd(samples=5, slow_start=1.5, outlier=0.7, eps=1e-3, form="differences"), tw.step(rate)
        ),
        partial(VSGD, vsgd.FiniteDifferences),
        {"samples": 5, "slow_start": 1.5, "outlier": 0.7, "eps": 1e-3},
        rate=1.0,
        every=1,
    ),
)
