"""Every rule in every dialect: how we type it, and which oracle computes the same by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

import thalweg as tw
from oracles import ORACLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from oracles.protocol import Array
    from thalweg.formula import Stage


@dataclass(frozen=True)
class Dialect:
    """One choice of a rule's options with numbers, and the oracle with the same ones under its own names."""

    rule: str
    settings: dict[str, Any]
    oracle: Callable[..., Any]
    oracle_settings: dict[str, Any] = field(default_factory=dict[str, Any])
    rate: float = 0.01
    needs_constant_rate: bool = False
    """Whether the oracle has the rate elsewhere, and agrees only while it is constant."""
    keeps_positions: bool = False
    """Whether a velocity is the difference of two positions."""
    needs_gradients: bool = False
    """Whether an element's gradient must never be zero."""

    @property
    def stage(self) -> Stage:
        return tw.rules.get(self.rule)(**self.settings)

    def schedule(self, k: int) -> float:
        """The rate after k steps."""
        return self.rate if self.needs_constant_rate else self.rate / (1 + 0.1 * k)

    def __str__(self) -> str:
        return repr(self.stage)


class AMSGradEpsInside:
    """As `adam.AMSGradTorch`, or with `corrected=False` as `adam.AMSGrad`, but with ε inside the root."""

    def __init__(
        self, p0: ArrayLike, lr: Callable[[int], float], *, beta1: float, beta2: float, eps: float, corrected: bool
    ) -> None:
        self.p, self.lr, self.t = np.array(p0, dtype=np.float64), lr, 0
        self.beta1, self.beta2, self.eps, self.corrected = beta1, beta2, eps, corrected
        self.m = self.v = self.v_max = np.zeros_like(self.p)

    def step(self, g: Array) -> Array:
        alpha = self.lr(self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        self.v_max = np.maximum(self.v_max, self.v)
        m_hat, v_hat = self.m, self.v_max
        if self.corrected:
            m_hat, v_hat = self.m / (1 - self.beta1**self.t), self.v_max / (1 - self.beta2**self.t)
        self.p = self.p - alpha * m_hat / np.sqrt(v_hat + self.eps)
        return self.p.copy()


def amsgrad_eps_inside(*, corrected: bool) -> Callable[..., AMSGradEpsInside]:
    def make(p0: ArrayLike, lr: Callable[[int], float], **settings: float) -> AMSGradEpsInside:
        return AMSGradEpsInside(p0, lr, **settings, corrected=corrected)

    return make


class AMSGradEfficient:
    """As `adam.Efficient`, with the largest v so far."""

    def __init__(self, p0: ArrayLike, lr: Callable[[int], float], *, beta1: float, beta2: float, eps: float) -> None:
        self.p, self.lr, self.t = np.array(p0, dtype=np.float64), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = self.v = self.v_max = np.zeros_like(self.p)

    def step(self, g: Array) -> Array:
        alpha = self.lr(self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        self.v_max = np.maximum(self.v_max, self.v)
        alpha_t = alpha * np.sqrt(1 - self.beta2**self.t) / (1 - self.beta1**self.t)
        self.p = self.p - alpha_t * self.m / (np.sqrt(self.v_max) + self.eps)
        return self.p.copy()


def _plain(rule: str, oracle: str, numbers: dict[str, float], **options: Any) -> Dialect:
    """A dialect whose numbers have the same names on both sides."""
    return Dialect(rule, {**numbers, **options}, ORACLES[rule, oracle], numbers)


_ADAM = {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4}
_SPREAD = {"rho": 0.9, "eps": 1e-4}
_RPROP = {"eta_minus": 0.4, "eta_plus": 1.3, "delta_min": 1e-3, "delta_max": 0.5}


def _rprop(form: str, oracle: str) -> Dialect:
    return Dialect(
        "rprop",
        {"delta0": 0.05, **_RPROP, "form": form},
        ORACLES["rprop", oracle],
        _RPROP,
        rate=0.05,
        needs_constant_rate=True,
    )


def _rolling(oracle: str, *, needs_constant_rate: bool = False, **options: Any) -> Dialect:
    return Dialect(
        "rmsprop_momentum",
        {"beta": 0.8, **_SPREAD, **options},
        ORACLES["rmsprop_momentum", oracle],
        {"momentum": 0.8, **_SPREAD},
        needs_constant_rate=needs_constant_rate,
    )


DIALECTS = (
    _plain("gradient_descent", "plain", {}),
    _plain("heavy_ball", "rate_inside", {"beta": 0.8}),
    _plain("heavy_ball", "rate_outside", {"beta": 0.8, "dampening": 0.3}, form="torch"),
    _plain("heavy_ball", "damped_average", {"beta": 0.8}, form="averaged"),
    _plain("nesterov", "change_of_variables", {"beta": 0.8}),
    _plain("nesterov", "rate_outside", {"beta": 0.8}, form="torch"),
    _rprop("rprop-", "minus"),
    _rprop("rprop+", "plus"),
    _rprop("irprop-", "improved_minus"),
    Dialect(
        "adagrad",
        {"eps": 1e-4, "r0": 0.2, "rate_decay": 0.05},
        ORACLES["adagrad", "torch"],
        {"eps": 1e-4, "initial": 0.2, "lr_decay": 0.05},
    ),
    Dialect(
        "adagrad",
        {"eps": 1e-4, "r0": 0.2, "epsilon": "inside"},
        ORACLES["adagrad", "eps_inside"],
        {"eps": 1e-4, "initial": 0.2},
    ),
    _plain("rmsprop", "eps_outside", _SPREAD),
    _plain("rmsprop", "eps_inside", _SPREAD, epsilon="inside"),
    _plain("rmsprop", "centred", _SPREAD, centred=True),
    _plain("rmsprop", "centred_eps_inside", _SPREAD, centred=True, epsilon="inside"),
    _rolling("rate_inside_eps_outside"),
    _rolling("rate_inside", epsilon="inside"),
    _rolling("graves", epsilon="inside", centred=True),
    _rolling("rate_outside_centred", centred=True, needs_constant_rate=True),
    _rolling("rate_outside", form="torch"),
    _rolling("rate_outside_centred", form="torch", centred=True),
    _rolling("rate_inside", form="torch", epsilon="inside", needs_constant_rate=True),
    _rolling("graves", form="torch", epsilon="inside", centred=True, needs_constant_rate=True),
    Dialect(
        "adadelta", {"rho": 0.9, "eps": 1e-4}, ORACLES["adadelta", "rate_outside"], {"rho": 0.9, "eps": 1e-4}, rate=1.0
    ),
    Dialect(
        "adadelta",
        {"rho": 0.9, "rho_update": 0.7, "eps": 1e-4, "rate": "inside"},
        ORACLES["adadelta", "rate_inside"],
        {"rho1": 0.9, "rho2": 0.7, "eps": 1e-4},
        rate=1.0,
    ),
    _plain("adam", "eps_outside", _ADAM),
    _plain("adam", "eps_inside", _ADAM, epsilon="inside"),
    _plain("adam", "uncorrected", _ADAM, bias_correction=False),
    _plain("adam", "uncorrected_eps_inside", _ADAM, epsilon="inside", bias_correction=False),
    _plain("adam", "amsgrad_torch", _ADAM, amsgrad=True),
    _plain("adam", "amsgrad", _ADAM, amsgrad=True, bias_correction=False),
    Dialect("adam", {**_ADAM, "amsgrad": True, "epsilon": "inside"}, amsgrad_eps_inside(corrected=True), _ADAM),
    Dialect(
        "adam",
        {**_ADAM, "amsgrad": True, "epsilon": "inside", "bias_correction": False},
        amsgrad_eps_inside(corrected=False),
        _ADAM,
    ),
    _plain("adam", "efficient", _ADAM, epsilon="hat"),
    _plain("adam", "uncorrected", _ADAM, epsilon="hat", bias_correction=False),
    _plain("adam", "amsgrad", _ADAM, epsilon="hat", amsgrad=True, bias_correction=False),
    Dialect("adam", {**_ADAM, "amsgrad": True, "epsilon": "hat"}, AMSGradEfficient, _ADAM),
    _plain("adamax", "eps", _ADAM),
    Dialect(
        "adamax",
        {**_ADAM, "eps": 0.0, "epsilon": "division"},
        ORACLES["adamax", "paper"],
        {"beta1": 0.8, "beta2": 0.95},
        needs_gradients=True,
    ),
    _plain("adamw", "coupled_to_rate", {**_ADAM, "weight_decay": 0.1}),
    _plain("sign_descent", "plain", {}),
    _plain("asgd", "torch", {"lambd": 0.3, "power": 0.6, "t0": 5.0}),
    Dialect(
        "asgd",
        {"lambd": 0.3, "power": 0.6, "t0": 5.0, "form": "torch"},
        ORACLES["asgd", "torch"],
        {"lambd": 0.3, "power": 0.6, "t0": 5.0},
        needs_constant_rate=True,
    ),
    _plain("heavy_ball_two_sequences", "undamped", {"gamma": tw.exponential(1.0, factor=0.9)}),
    Dialect("nesterov_acceleration", {}, ORACLES["nesterov_acceleration", "growing"], keeps_positions=True),
    Dialect(
        "nesterov_acceleration",
        {"kappa": 81.0},
        ORACLES["nesterov_acceleration", "constant"],
        {"beta": 0.8},
        keeps_positions=True,
    ),
    Dialect(
        "delta_bar_delta",
        {"kappa": 0.1, "phi": 0.2, "theta": 0.6},
        ORACLES["delta_bar_delta", "jacobs"],
        {"kappa": 0.1, "phi": 0.2, "theta": 0.6},
        needs_constant_rate=True,
    ),
    Dialect(
        "delta_bar_delta",
        {"kappa": 0.1, "phi": 0.2, "beta": 0.8, "gain_min": 0.5, "gain_max": 1.5, "agreement": "velocity"},
        ORACLES["delta_bar_delta", "hinton"],
        {"kappa": 0.1, "phi": 0.2, "beta": 0.8, "lowest": 0.5, "highest": 1.5},
    ),
    _plain("nadam", "torch", {**_ADAM, "momentum_decay": 0.1}),
    _plain("radam", "torch", _ADAM),
    _plain("signum", "paper", {"beta": 0.8}),
    _plain("lion", "paper", {"beta1": 0.7, "beta2": 0.95}),
    _plain("qhm", "paper", {"nu": 0.6, "beta": 0.95}),
    _plain("qhadam", "paper", {**_ADAM, "nu1": 0.6, "nu2": 0.7}),
    _plain("adabelief", "paper", _ADAM),
    _plain("yogi", "paper", {**_ADAM, "v0": 1e-2}),
    _plain("yogi", "corrected", {**_ADAM, "v0": 1e-2}, bias_correction=True),
    Dialect(
        "adan",
        {"beta1": 0.9, "beta2": 0.7, "beta3": 0.95, "eps": 1e-4},
        ORACLES["adan", "corrected"],
        {"beta1": 0.1, "beta2": 0.3, "beta3": 0.05, "eps": 1e-4},
    ),
    Dialect(
        "adan",
        {"beta1": 0.9, "beta2": 0.7, "beta3": 0.95, "eps": 1e-4, "weight_decay": 0.5},
        ORACLES["adan", "corrected"],
        {"beta1": 0.1, "beta2": 0.3, "beta3": 0.05, "eps": 1e-4, "weight_decay": 0.5},
    ),
    _plain("ademamix", "constant", {**_ADAM, "beta3": 0.99, "alpha_slow": 3.0}),
    _plain(
        "ademamix",
        "warmed_up",
        {**_ADAM, "beta3": 0.99, "alpha_slow": 3.0, "alpha_warmup": 30.0, "beta3_warmup": 50.0, "beta_start": 0.7},
    ),
    _plain("adopt", "clipped", _ADAM),
)
