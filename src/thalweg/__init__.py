"""Optimizers for neural networks, each written once as its paper writes it.

What needs torch is found when it is first used: importing `thalweg` alone loads neither torch nor a compiler.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from thalweg import errors, rules, schedules
from thalweg.chain import Chain, chain, clip_value, decay, step
from thalweg.errors import did_you_mean
from thalweg.rules import (
    adabelief,
    adadelta,
    adagrad,
    adam,
    adamax,
    adamw,
    adan,
    ademamix,
    adopt,
    asgd,
    delta_bar_delta,
    gradient_descent,
    heavy_ball,
    heavy_ball_two_sequences,
    lion,
    nadam,
    nesterov,
    nesterov_acceleration,
    qhadam,
    qhm,
    radam,
    rmsprop,
    rmsprop_momentum,
    rprop,
    sign_descent,
    signum,
    yogi,
)
from thalweg.schedules import (
    constant,
    cosine,
    exponential,
    geometric,
    inverse,
    linear,
    multi_step,
    one_cycle,
    polynomial,
    robbins_monro,
    sgdr,
    step_decay,
    warmup,
    warmup_stable_decay,
)

if TYPE_CHECKING:
    from thalweg import lab, report, surfaces
    from thalweg.lab.problem import Problem
    from thalweg.optimizer import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Optimizer, RAdam, RMSprop, Rprop

__version__ = "0.1.0"

_HOMES = {
    "Problem": "thalweg.lab.problem",
    **dict.fromkeys(
        ("SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Optimizer", "RAdam", "RMSprop", "Rprop"),
        "thalweg.optimizer",
    ),
}
"""Where the names that need torch are at home."""
_ROOMS = ("lab", "report", "surfaces")


def __getattr__(name: str) -> Any:  # noqa: ANN401  # whatever the name stands for
    if name in _ROOMS:
        return importlib.import_module(f"thalweg.{name}")
    if name in _HOMES:
        found = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = found
        return found
    message = f"module `thalweg` has no `{name}`; {did_you_mean(name, __all__)}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Chain",
    "Optimizer",
    "Problem",
    "RAdam",
    "RMSprop",
    "Rprop",
    "adabelief",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "adan",
    "ademamix",
    "adopt",
    "asgd",
    "chain",
    "clip_value",
    "constant",
    "cosine",
    "decay",
    "delta_bar_delta",
    "errors",
    "exponential",
    "geometric",
    "gradient_descent",
    "heavy_ball",
    "heavy_ball_two_sequences",
    "inverse",
    "lab",
    "linear",
    "lion",
    "multi_step",
    "nadam",
    "nesterov",
    "nesterov_acceleration",
    "one_cycle",
    "polynomial",
    "qhadam",
    "qhm",
    "radam",
    "report",
    "rmsprop",
    "rmsprop_momentum",
    "robbins_monro",
    "rprop",
    "rules",
    "schedules",
    "sgdr",
    "sign_descent",
    "signum",
    "step",
    "step_decay",
    "surfaces",
    "warmup",
    "warmup_stable_decay",
    "yogi",
]
