"""Chains whose step needs more than each element alone, and the oracle that computes the same by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import thalweg as tw
from oracles import cautious

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from thalweg.chain import Chain
    from thalweg.formula import Stage


@dataclass(frozen=True)
class ModelDialect:
    """A chain as we type it, without its rate, and an oracle with its numbers under its own names."""

    name: str
    chain: Callable[[Callable[[int], float]], Chain]
    oracle: tuple[str, str]
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    rate: float = 0.01
    tolerance: float = 1.0
    """Times that of elements: sums of many numbers round more, and an estimate that feeds back carries it on."""
    evaluates: bool = False
    """Whether the oracle's `x` is where evaluation sees the parameters."""
    needs_constant_rate: bool = False

    def schedule(self, k: int) -> float:
        """The rate after k steps."""
        return self.rate if self.needs_constant_rate else self.rate / (1 + 0.1 * k)

    def __str__(self) -> str:
        return self.name


_ADAM = {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4}


def _dialect(
    stages: Iterable[Stage],
    oracle: tuple[str, str],
    settings: dict[str, Any] | None = None,
    *,
    behind: Iterable[Stage] = (),
    **others: Any,
) -> ModelDialect:
    stages, behind = tuple(stages), tuple(behind)

    def chain(rate: Callable[[int], float]) -> Chain:
        return tw.chain(*stages, tw.step(rate), *behind)

    return ModelDialect(f"{oracle[0]}-{oracle[1]}", chain, oracle, settings or {}, **others)


def _average(stage: Stage, oracle: str, settings: dict[str, Any]) -> ModelDialect:
    return _dialect([tw.gradient_descent()], ("average", oracle), settings, behind=[stage], evaluates=True)


MODEL_DIALECTS = (
    _dialect([tw.normalised_descent()], ("normalised_descent", "over_model")),
    _dialect([tw.normalised_descent(per="tensor")], ("normalised_descent", "per_tensor")),
    _dialect([tw.clip(0.7), tw.gradient_descent()], ("clip", "over_model"), {"max_norm": 0.7}),
    _dialect(
        [tw.clip(0.7, kind="largest", norm_eps=0), tw.gradient_descent()],
        ("clip", "over_model"),
        {"max_norm": 0.7, "norm_type": float("inf"), "eps": 0},
    ),
    _dialect(
        [tw.clip(0.7, kind="largest", per="tensor"), tw.gradient_descent()],
        ("clip", "per_tensor"),
        {"max_norm": 0.7, "norm_type": float("inf")},
    ),
    _dialect([tw.clip(0.7, per="tensor"), tw.gradient_descent()], ("clip", "per_tensor"), {"max_norm": 0.7}),
    _dialect(
        [tw.lars(beta=0.8, weight_decay=0.1, trust=0.02)],
        ("lars", "paper"),
        {"momentum": 0.8, "weight_decay": 0.1, "eta": 0.02},
        rate=1.0,
    ),
    _dialect([tw.lamb(**_ADAM, weight_decay=0.1)], ("lamb", "corrected"), {**_ADAM, "weight_decay": 0.1}),
    _dialect(
        [tw.lamb(**_ADAM, weight_decay=0.1, bias_correction=False)],
        ("lamb", "uncorrected"),
        {**_ADAM, "weight_decay": 0.1},
    ),
    _dialect(
        [tw.adafactor(eps1=1e-6, eps2=1e-2, d=1.5, weight_decay=0.1)],
        ("adafactor", "torch"),
        {"eps1": 1e-6, "eps2": 1e-2, "d": 1.5, "weight_decay": 0.1},
        rate=0.05,
    ),
    _dialect(
        [tw.adafactor(eps1=1e-8, eps2=1e-2, d=1.5, form="paper")],
        ("adafactor", "paper"),
        {"eps1": 1e-8, "eps2": 1e-2, "d": 1.5},
        rate=0.05,
    ),
    _dialect(
        [tw.mars(beta1=0.8, gamma=0.1), tw.adam(**_ADAM), tw.decay(0.1)],
        ("mars", "approximate"),
        {**_ADAM, "gamma": 0.1, "weight_decay": 0.1},
    ),
    _dialect([tw.adam(**_ADAM), tw.cautious(), tw.decay(0.1)], ("cautious", "adamw"), {**_ADAM, "weight_decay": 0.1}),
    _dialect(
        [tw.adam(**_ADAM), tw.cautious(scale="count")], ("cautious", "adamw"), {**_ADAM, "mask": cautious.by_count}
    ),
    _dialect([tw.lion(beta1=0.7, beta2=0.95), tw.cautious()], ("cautious", "lion"), {"beta1": 0.7, "beta2": 0.95}),
    _dialect([tw.heavy_ball(beta=0.8, form="torch"), tw.cautious()], ("cautious", "momentum"), {"beta": 0.8}),
    _dialect([tw.dog(r_rel=1e-2)], ("dog", "over_model"), {"reps_rel": 1e-2}, rate=1.0, tolerance=10),
    _dialect([tw.ldog(r_rel=1e-2)], ("dog", "per_tensor"), {"reps_rel": 1e-2}, rate=1.0, tolerance=10),
    _dialect(
        [tw.d_adapt_sgd(beta=0.8, d0=1e-2)],
        ("d_adaptation", "sgd"),
        {"momentum": 0.8, "d0": 1e-2},
        rate=1.0,
        tolerance=100,
    ),
    _dialect(
        [tw.d_adapt_sgd(beta=0.8, d0=1e-2, growth_rate=1.1)],
        ("d_adaptation", "sgd"),
        {"momentum": 0.8, "d0": 1e-2, "growth_rate": 1.1},
        rate=1.0,
        tolerance=100,
    ),
    _dialect(
        [tw.d_adapt_adam(**_ADAM, d0=1e-2)], ("d_adaptation", "adam"), {**_ADAM, "d0": 1e-2}, rate=1.0, tolerance=100
    ),
    _dialect(
        [tw.prodigy(**_ADAM, d0=1e-2, weight_decay=0.1)],
        ("prodigy", "adam"),
        {**_ADAM, "d0": 1e-2, "weight_decay": 0.1},
        rate=1.0,
        tolerance=100,
    ),
    *(
        _dialect(
            [tw.prodigy(**_ADAM, d0=1e-2, bias_correction=corrected, safeguard_warmup=safe)],
            ("prodigy", "adam"),
            {**_ADAM, "d0": 1e-2, "use_bias_correction": corrected, "safeguard_warmup": safe},
            rate=1.0,
            tolerance=100,
        )
        for corrected, safe in ((True, False), (False, True))
    ),
    _dialect(
        [tw.prodigy(**_ADAM, d0=1e-2, beta3=0.9, growth_rate=1.2, bias_correction=True, safeguard_warmup=True)],
        ("prodigy", "adam"),
        {**_ADAM, "d0": 1e-2, "beta3": 0.9, "growth_rate": 1.2, "use_bias_correction": True, "safeguard_warmup": True},
        rate=1.0,
        tolerance=100,
    ),
    _dialect(
        [tw.schedule_free_sgd(beta=0.8, weight_decay=0.1, warmup_steps=5)],
        ("schedule_free", "sgd"),
        {"momentum": 0.8, "weight_decay": 0.1, "warmup_steps": 5},
        evaluates=True,
        tolerance=10,
    ),
    _dialect(
        [tw.schedule_free_adamw(**_ADAM, weight_decay=0.1, warmup_steps=5, power=0.5)],
        ("schedule_free", "adamw"),
        {**_ADAM, "weight_decay": 0.1, "warmup_steps": 5, "r": 0.5},
        evaluates=True,
        tolerance=10,
    ),
    _average(tw.ema(beta=0.9), "ema_from_first_point", {"decay": 0.9}),
    _average(tw.polyak(), "polyak", {}),
    _average(tw.swa(start=7, every=4), "swa", {"start": 7, "every": 4}),
    _dialect(
        [tw.gradient_descent()],
        ("lookahead", "around_descent"),
        {"alpha": 0.3, "k": 4},
        behind=[tw.lookahead(alpha=0.3, every=4)],
        evaluates=True,
    ),
    _dialect(
        [tw.adam(**_ADAM)],
        ("lookahead", "around_adam"),
        {**_ADAM, "alpha": 0.3, "k": 4},
        behind=[tw.lookahead(alpha=0.3, every=4)],
        evaluates=True,
    ),
)
