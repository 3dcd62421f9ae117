"""Every translation of a rule with settings to try it with, and where our rule goes with them."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

import thalweg as tw
from oracles.gradients import START, gradients
from thalweg.formula.translation import names_in

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from thalweg.formula import Rule
    from thalweg.formula.translation import Library, Translation

OTHER = {
    "beta": 0.8, "beta1": 0.7, "beta2": 0.95, "dampening": 0.3, "rho": 0.85, "eps": 0.03, "r0": 0.2, "rate_decay": 0.1,
    "weight_decay": 0.1, "momentum_decay": 0.1, "lambd": 0.3, "power": 0.6, "t0": 4.0, "gamma": 0.6, "delta0": 0.05,
    "eta_minus": 0.4, "eta_plus": 1.3, "delta_min": 0.03, "delta_max": 0.08,
    "beta2_decay": -0.7, "eps1": 0.05, "eps2": 30.0, "d": 1.3,
    "warmup_steps": 4, "beta3": 0.97, "alpha_slow": 1.5, "rate_power": 1.0, "r_rel": 0.01, "nu": 0.6,
}  # fmt: skip
"""A value of every setting that is not its default, no two of a rule alike: a swap does not go unnoticed."""
RATE = 0.02
STEPS = 10


@dataclass(frozen=True)
class Case:
    """A translation, and our settings to try it with."""

    rule: Rule
    translation: Translation
    settings: dict[str, Any]

    def values(self, k: int = 0, rate: float = RATE) -> dict[str, Any]:
        """What to set there after k steps."""
        everything = {name: hyper.default for name, hyper in self.rule.hyperparameters.items()} | self.settings
        return self.translation.values({**everything, "lr": rate, "t": k + 1})

    def __str__(self) -> str:
        return f"{self.rule(**self.settings)} as {self.translation.name}"


def cases(library: Library) -> list[Case]:
    """Every translation with other numbers than the defaults, and with each of the options that it speaks of."""
    found: list[Case] = []
    for rule in tw.rules.catalogue().values():
        for translation in rule.translations:
            if translation.library != library:
                continue
            spoken = {name for expression in translation.arguments.values() for name in names_in(expression)}
            hypers = [hyper for name, hyper in rule.hyperparameters.items() if name in spoken]
            choices = [hyper.choices or (OTHER[hyper.name],) for hyper in hypers]
            fixed = {n: v for n, v in translation.fixed.items() if v != rule.hyperparameters[n].default}
            found += [
                Case(rule, translation, fixed | dict(zip([hyper.name for hyper in hypers], chosen, strict=True)))
                for chosen in itertools.product(*choices)
            ]
    return found


def start() -> list[NDArray[np.float64]]:
    """A vector and a matrix to begin at."""
    return both(START)


def both(vector: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The vector, and most of it as a matrix."""
    return [vector.copy(), vector[1:].reshape(2, 3).copy()]


def our_path(case: Case, rate: Callable[[int], float]) -> list[Tensor]:
    """Where our rule goes in ten steps, and the averaged parameters if it keeps them."""
    stage = case.rule(**case.settings)
    stages = (stage,) if case.rule.learning_rate is None else (stage, tw.step(rate))
    return path(lambda parameters: tw.Optimizer(parameters, tw.chain(*stages), backend="reference"))


def path(
    make: Callable[[list[Tensor]], torch.optim.Optimizer],
    before: Callable[[torch.optim.Optimizer, int], None] = lambda _, __: None,
) -> list[Tensor]:
    """Where an optimizer goes in ten steps, `before` each of which something may be set."""
    parameters = [torch.from_numpy(value).requires_grad_() for value in start()]
    optimizer = make(parameters)
    arrived: list[Tensor] = []
    for k, g in enumerate(gradients(STEPS)):
        before(optimizer, k)
        for parameter, gradient in zip(parameters, both(g), strict=True):
            parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
        arrived += [parameter.detach().clone() for parameter in parameters]
        states = [optimizer.state[parameter] for parameter in parameters]
        arrived += [state["ax"].clone() for state in states if "ax" in state]
    return arrived


def constant(_: int) -> float:
    return RATE


def falling(k: int) -> float:
    return RATE / (k + 1)


def differing_defaults(rule: Rule, make: Callable[..., Any], *, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The defaults of a class that are not ours, as the rule says and as the class has them.

    Of the arguments that are one of our settings, or come to it in the long run, or several of them in a row.
    """
    own = {n: hyper.default for n, hyper in rule.hyperparameters.items()} | {"lr": rule.learning_rate, "t": 10**9}
    signature = inspect.signature(make).parameters
    said: dict[str, Any] = {}
    there: dict[str, Any] = {}
    for translation in (t for t in rule.translations if t.name == name):
        said |= translation.defaults
        for argument, ours in translation.values(own).items():
            expression, theirs = translation.arguments[argument], signature[argument].default
            is_ours = expression.strip("()").replace(", ", "").isidentifier() or "t" in names_in(expression)
            if is_ours and names_in(expression) and theirs != ours:
                there[argument] = theirs if not isinstance(ours, tuple) else differing_parts(theirs, ours)
    return said, there


def differing_parts(theirs: tuple[Any, ...], ours: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(there if there != here else ... for there, here in zip(theirs, ours, strict=True))
