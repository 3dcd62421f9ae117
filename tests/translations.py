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

    from torch import Tensor

    from thalweg.formula import Rule
    from thalweg.formula.translation import Library, Translation

OTHER = {
    "beta": 0.8, "beta1": 0.7, "beta2": 0.95, "dampening": 0.3, "rho": 0.85, "eps": 0.03, "r0": 0.2, "rate_decay": 0.1,
    "weight_decay": 0.1, "momentum_decay": 0.1, "lambd": 0.3, "power": 0.6, "t0": 4.0, "gamma": 0.6, "delta0": 0.05,
    "eta_minus": 0.4, "eta_plus": 1.3, "delta_min": 0.03, "delta_max": 0.08,
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


def start() -> Tensor:
    return torch.tensor(START, dtype=torch.float64, requires_grad=True)


def our_path(case: Case, rate: Callable[[int], float]) -> list[Tensor]:
    """Where our rule goes in ten steps, and the averaged parameter if it keeps one."""
    parameter, stage = start(), case.rule(**case.settings)
    stages = (stage,) if case.rule.learning_rate is None else (stage, tw.step(rate))
    optimizer = tw.Optimizer([parameter], tw.chain(*stages), backend="reference")
    path: list[Tensor] = []
    for g in gradients(STEPS):
        parameter.grad = torch.from_numpy(g.copy())
        optimizer.step()
        path += [parameter.detach().clone(), *averages(optimizer, parameter)]
    return path


def averages(optimizer: torch.optim.Optimizer, parameter: Tensor) -> list[Tensor]:
    state = optimizer.state[parameter]
    return [state["ax"].clone()] if "ax" in state else []


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
                there[argument] = theirs
    return said, there
