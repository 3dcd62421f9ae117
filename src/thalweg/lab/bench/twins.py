"""Which optimizer of torch and of optax is which of our rules, with the settings that make them one formula.

The tests step each pair side by side in float64. A rule that is not here, or has None, has no twin there: optax's
NAdam, RAdam, Yogi, Adan, Rprop, LARS, Prodigy and D-Adaptation are other formulas than ours, and its AdaGrad has ε
inside the root.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.formula import Value

Call: TypeAlias = "tuple[str, Mapping[str, object]]"
"""A class or function of the library, by its name there, and its settings besides the learning rate."""


@dataclass(frozen=True)
class Twin:
    """The settings of our rule, and the calls that do the same with the same learning rate."""

    settings: Mapping[str, Value] = field(default_factory=dict[str, "Value"])
    torch: Call | None = None
    optax: Call | None = None


ALONE = Twin()
FLOAT32_EPS = 2**-23
"""The rounding of float32, Adafactor's ε₁ there: stated, so that it is the same in every dtype."""
_BETAS = {"b1": 0.9, "b2": 0.999}

TWINS: Mapping[str, Twin] = {
    "gradient_descent": Twin({}, ("SGD", {}), ("sgd", {})),
    "sign_descent": Twin({}, None, ("sign_sgd", {})),
    "signum": Twin({"beta": 0.9}, None, ("signum", {"beta": 0.9})),
    "lion": Twin({"beta1": 0.9, "beta2": 0.99}, None, ("lion", {"b1": 0.9, "b2": 0.99, "weight_decay": 0.0})),
    "heavy_ball": Twin({"beta": 0.9, "form": "torch"}, ("SGD", {"momentum": 0.9}), ("sgd", {"momentum": 0.9})),
    "nesterov": Twin(
        {"beta": 0.9, "form": "torch"},
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("sgd", {"momentum": 0.9, "nesterov": True}),
    ),
    "rprop": Twin({"delta0": 0.1, "form": "irprop-"}, ("Rprop", {"lr": 0.1})),
    "asgd": Twin({"lambd": 1e-4, "power": 0.75, "t0": 1e6}, ("ASGD", {"lambd": 1e-4, "alpha": 0.75, "t0": 1e6})),
    "adagrad": Twin({"eps": 1e-10}, ("Adagrad", {"eps": 1e-10})),
    "rmsprop": Twin(
        {"rho": 0.99, "eps": 1e-8},
        ("RMSprop", {"alpha": 0.99, "eps": 1e-8}),
        ("rmsprop", {"decay": 0.99, "eps": 1e-8, "eps_in_sqrt": False}),
    ),
    "rmsprop_momentum": Twin(
        {"beta": 0.9, "rho": 0.99, "eps": 1e-8, "form": "torch"},
        ("RMSprop", {"momentum": 0.9, "alpha": 0.99, "eps": 1e-8}),
        ("rmsprop", {"momentum": 0.9, "decay": 0.99, "eps": 1e-8, "eps_in_sqrt": False}),
    ),
    "adadelta": Twin(
        {"rho": 0.95, "eps": 1e-6}, ("Adadelta", {"rho": 0.95, "eps": 1e-6}), ("adadelta", {"rho": 0.95, "eps": 1e-6})
    ),
    "adam": Twin({"eps": 1e-8}, ("Adam", {"eps": 1e-8}), ("adam", {**_BETAS, "eps": 1e-8})),
    "adamax": Twin({"eps": 1e-8}, ("Adamax", {"eps": 1e-8}), ("adamax", {**_BETAS, "eps": 1e-8})),
    "adamw": Twin(
        {"eps": 1e-8, "weight_decay": 0.01},
        ("AdamW", {"eps": 1e-8, "weight_decay": 0.01}),
        ("adamw", {**_BETAS, "eps": 1e-8, "weight_decay": 0.01}),
    ),
    "nadam": Twin({"eps": 1e-8}, ("NAdam", {"eps": 1e-8, "momentum_decay": 0.004})),
    "radam": Twin({"eps": 1e-8}, ("RAdam", {"eps": 1e-8})),
    "adabelief": Twin({"eps": 1e-8}, None, ("adabelief", {**_BETAS, "eps": 1e-8, "eps_root": 1e-8})),
    "ademamix": Twin(
        {"alpha_slow": 2.0},
        None,
        ("contrib.ademamix", {**_BETAS, "b3": 0.9999, "alpha": 2.0, "eps": 1e-8, "weight_decay": 0.0}),
    ),
    "adopt": Twin({"eps": 1e-6}, None, ("contrib.adopt", {"b1": 0.9, "b2": 0.9999, "eps": 1e-6})),
    "adafactor": Twin(
        {"beta2_decay": -0.8, "eps1": FLOAT32_EPS, "eps2": 1e-3},
        ("Adafactor", {"beta2_decay": -0.8, "eps": (FLOAT32_EPS, 1e-3)}),
    ),
    "lamb": Twin({"eps": 1e-6, "weight_decay": 0.01}, None, ("lamb", {**_BETAS, "eps": 1e-6, "weight_decay": 0.01})),
    "dog": Twin({"r_rel": 1e-6, "eps": 1e-8}, None, ("contrib.dog", {"init_step": ("heuristic", 1e-6), "eps": 1e-8})),
    "schedule_free_sgd": Twin({"beta": 0.9}, None, ("contrib.schedule_free_sgd", {"b1": 0.9})),
    "schedule_free_adamw": Twin({"eps": 1e-8}, None, ("contrib.schedule_free_adamw", {**_BETAS, "eps": 1e-8})),
}


def twin_of(rule: str) -> Twin:
    """The rule's twins, and the settings to measure it with: its defaults where it has none.

    >>> twin_of("heavy_ball").torch
    ('SGD', {'momentum': 0.9})
    """
    return TWINS.get(rule, ALONE)
