"""The oracles that speak optax's dialect, against the numbers that optax's own documentation prints.

Its reference for every optimizer runs five steps on f(x) = Σx² from (1, 2, 3), f = 14, in float32 and prints
f with three digits. Source: the examples in the docstrings of optax's `_src/alias.py` and `contrib`, which its
tests run.
"""

from __future__ import annotations

import numpy as np
import pytest

from oracles import ORACLES

ADAMS = ["1.40E+01", "1.39E+01", "1.39E+01", "1.39E+01", "1.38E+01"]
SIGNS = ["1.40E+01", "1.39E+01", "1.39E+01", "1.39E+01", "1.38E+01"]

PRINTED = {
    "sgd": (
        ("gradient_descent", "plain"),
        0.003,
        {},
        ["1.38E+01", "1.37E+01", "1.35E+01", "1.33E+01", "1.32E+01"],
    ),
    "adagrad": (
        ("adagrad", "eps_inside"),
        1.0,
        {},
        ["5.01E+00", "2.40E+00", "1.25E+00", "6.86E-01", "3.85E-01"],
    ),
    "rmsprop": (
        ("rmsprop", "eps_inside"),
        0.003,
        {"rho": 0.9, "eps": 1e-8},
        ["1.39E+01", "1.38E+01", "1.37E+01", "1.37E+01", "1.36E+01"],
    ),
    "adadelta": (
        ("adadelta", "rate_outside"),
        10.0,
        {},
        ["1.36E+01", "1.32E+01", "1.29E+01", "1.25E+01", "1.21E+01"],
    ),
    "adam": (("adam", "eps_outside"), 0.003, {}, ADAMS),
    "amsgrad": (("adam", "amsgrad_of_corrected"), 0.003, {}, ADAMS),
    "adamax": (("adamax", "eps"), 0.003, {}, ADAMS),
    "adamw": (("adamw", "coupled_to_rate"), 0.003, {"weight_decay": 1e-4}, ADAMS),
    "sign_sgd": (("signum", "paper"), 0.003, {"beta": 0.0}, SIGNS),
    "lion": (("lion", "paper"), 0.003, {}, SIGNS),
    "adabelief": (
        ("adabelief", "paper"),
        0.003,
        {"eps": 1e-16},
        ["1.40E+01", "1.39E+01", "1.39E+01", "1.38E+01", "1.38E+01"],
    ),
    "yogi": (
        ("yogi", "corrected"),
        0.002,
        {},
        ["1.40E+01", "1.40E+01", "1.39E+01", "1.39E+01", "1.39E+01"],
    ),
    "contrib.ademamix": (
        ("ademamix", "constant"),
        0.01,
        {"alpha_slow": 6.0},
        ["1.39E+01", "1.38E+01", "1.36E+01", "1.35E+01", "1.34E+01"],
    ),
    "contrib.adopt": (("adopt", "clipped"), 0.003, {}, ["1.40E+01"] * 5),
}


def printed(key: tuple[str, str], lr: float, hyper: dict[str, float], steps: int = 5) -> list[str]:
    p = np.array([1.0, 2.0, 3.0])
    oracle = ORACLES[key](p, lr, **hyper)
    values: list[str] = []
    for _ in range(steps):
        p = oracle.step(2 * p)
        values.append(f"{np.sum(p**2):.2E}")
    return values


@pytest.mark.parametrize("name", PRINTED)
def test_the_oracle_prints_what_optaxs_documentation_prints(name: str):
    key, lr, hyper, values = PRINTED[name]
    assert printed(key, lr, hyper) == values


@pytest.mark.parametrize(
    ("key", "lr", "hyper", "name"),
    [
        (("adagrad", "torch"), 1.0, {}, "adagrad"),
        (("adadelta", "rate_inside"), 10.0, {}, "adadelta"),
        (("rmsprop", "eps_inside"), 0.003, {"rho": 0.99}, "rmsprop"),
        (("adam", "uncorrected"), 0.003, {}, "adam"),
        (("adam", "eps_outside"), 0.003, {}, "adabelief"),
        (("yogi", "paper"), 0.002, {}, "yogi"),
    ],
)
def test_three_digits_are_enough_to_tell_another_dialect(
    key: tuple[str, str], lr: float, hyper: dict[str, float], name: str
):
    assert printed(key, lr, hyper) != PRINTED[name][3]


def test_optaxs_rprop_prints_the_improved_rprop_one_step_late():
    # Its `scale_by_rprop` gives back the update stored at the step before, so that its first step is none.
    optax = ["1.40E+01", "1.40E+01", "1.39E+01", "1.39E+01", "1.38E+01"]
    assert optax == [f"{14.0:.2E}", *printed(("rprop", "improved_minus"), 0.003, {}, steps=4)]
    assert optax != printed(("rprop", "improved_minus"), 0.003, {})
