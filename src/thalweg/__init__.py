"""Optimizers for neural networks, each written once as its paper writes it.

What needs torch is found when it is first used: importing `thalweg` alone loads neither torch nor a compiler.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from thalweg import errors, rules, schedules
from thalweg.chain import (
    Chain,
    accumulate,
    cautious,
    chain,
    clip,
    clip_value,
    decay,
    decoupled_decay,
    ema,
    full_matrix_adagrad,
    kahan,
    l1,
    lookahead,
    mars,
    muon,
    polyak,
    psgd_kron,
    route,
    shampoo,
    skip_nonfinite,
    soap,
    soft_threshold,
    step,
    stochastic_rounding,
    swa,
)
from thalweg.errors import did_you_mean
from thalweg.rules import (
    adabelief,
    adadelta,
    adafactor,
    adagrad,
    adam,
    adamax,
    adamw,
    adan,
    ademamix,
    adopt,
    asgd,
    d_adapt_adam,
    d_adapt_sgd,
    delta_bar_delta,
    dog,
    gradient_descent,
    heavy_ball,
    heavy_ball_two_sequences,
    lamb,
    lars,
    ldog,
    lion,
    nadam,
    nesterov,
    nesterov_acceleration,
    normalised_descent,
    prodigy,
    qhadam,
    qhm,
    radam,
    rmsprop,
    rmsprop_momentum,
    rprop,
    schedule_free_adamw,
    schedule_free_sgd,
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
    plateau,
    polynomial,
    robbins_monro,
    sgdr,
    step_decay,
    warmup,
    warmup_stable_decay,
)

if TYPE_CHECKING:
    from thalweg import descent, lab, report, surfaces
    from thalweg.descent import minimize
    from thalweg.lab.problem import Problem
    from thalweg.optimizer import (
        ASGD,
        SAM,
        SGD,
        Adadelta,
        Adafactor,
        Adagrad,
        Adam,
        Adamax,
        AdamW,
        EntropySGD,
        LookAheadNesterov,
        Muon,
        NAdam,
        Optimizer,
        RAdam,
        RMSprop,
        Rprop,
        SparseAdam,
        functional,
        load,
        load_named_state,
        load_torch_state,
        named_state,
        save,
        torch_state,
    )
    from thalweg.optimizer.roles import doubts, roles

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(("EntropySGD", "LookAheadNesterov", "SAM", "functional"), "thalweg.optimizer"),
    **dict.fromkeys(("doubts", "roles"), "thalweg.optimizer.roles"),
    "Problem": "thalweg.lab.problem",
    "minimize": "thalweg.descent",
    **dict.fromkeys(
        ("ASGD", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Muon", "NAdam", "Optimizer"),
        "thalweg.optimizer",
    ),
    **dict.fromkeys(
        ("RAdam", "RMSprop", "Rprop", "SparseAdam"),
        "thalweg.optimizer",
    ),
    **dict.fromkeys(
        ("load", "load_named_state", "load_torch_state", "named_state", "save", "torch_state"), "thalweg.optimizer"
    ),
}
"""Where the names that need torch are at home."""
_ROOMS = ("descent", "lab", "report", "surfaces")


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
    "ASGD",
    "SAM",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Chain",
    "EntropySGD",
    "LookAheadNesterov",
    "Muon",
    "NAdam",
    "Optimizer",
    "Problem",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "accumulate",
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "adan",
    "ademamix",
    "adopt",
    "asgd",
    "cautious",
    "chain",
    "clip",
    "clip_value",
    "constant",
    "cosine",
    "d_adapt_adam",
    "d_adapt_sgd",
    "decay",
    "decoupled_decay",
    "delta_bar_delta",
    "descent",
    "dog",
    "doubts",
    "ema",
    "errors",
    "exponential",
    "full_matrix_adagrad",
    "functional",
    "geometric",
    "gradient_descent",
    "heavy_ball",
    "heavy_ball_two_sequences",
    "inverse",
    "kahan",
    "l1",
    "lab",
    "lamb",
    "lars",
    "ldog",
    "linear",
    "lion",
    "load",
    "load_named_state",
    "load_torch_state",
    "lookahead",
    "mars",
    "minimize",
    "multi_step",
    "muon",
    "nadam",
    "named_state",
    "nesterov",
    "nesterov_acceleration",
    "normalised_descent",
    "one_cycle",
    "plateau",
    "polyak",
    "polynomial",
    "prodigy",
    "psgd_kron",
    "qhadam",
    "qhm",
    "radam",
    "report",
    "rmsprop",
    "rmsprop_momentum",
    "robbins_monro",
    "roles",
    "route",
    "rprop",
    "rules",
    "save",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "schedules",
    "sgdr",
    "shampoo",
    "sign_descent",
    "signum",
    "skip_nonfinite",
    "soap",
    "soft_threshold",
    "step",
    "step_decay",
    "stochastic_rounding",
    "surfaces",
    "swa",
    "torch_state",
    "warmup",
    "warmup_stable_decay",
    "yogi",
]
