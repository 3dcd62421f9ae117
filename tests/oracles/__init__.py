"""Every rule of the catalogue once more, by hand: what the library's own formulas are tested against.

Each oracle is a small class in float64 NumPy, written from the papers and the decks without regard to the
library's formulas, and itself tested against `torch.optim`, against hand arithmetic and against its siblings'
known identities. Its docstring says the formula and the source. The decks are five sets of lecture slides: A
"Optimization of Neural Networks" (Freiburg, week 4), B "training nn" (stats403, lecture 2), C "Optimization
for Deep Networks" (Misra), D "Optimization" (ECE C147, lecture 10), E "Optimization in Deep Learning"
(Fernández-Villaverde and Nuño).

    from oracles import ORACLES

    oracle = ORACLES["adam", "eps_outside"]([1.0, -2.0], 1e-3, beta2=0.99)
    for gradient in gradients:
        p = oracle.step(gradient)  # the new parameter, a copy

- Hyper-parameters are keyword-only and carry the names of the papers and of the rules: `beta`, `beta1`,
  `beta2`, `rho`, `eps`, `momentum`, `eta_plus`, … Their defaults are those of the source that the docstring
  names.
- `lr` is a number or a function of the steps already done (0 at the first step): any schedule. Exceptions:
  for Rprop it is Δ₀, and for Jacobs' delta-bar-delta the first rate, a number; for
  `heavy_ball_two_sequences` it is the deck's β_t; for `("adamw", "paper")` it is α, a number, and the
  schedule's multiplier is `eta`.
- `step` takes the gradient at the parameter it gave back last. Two dialects need more:
  `NEEDS_GRADIENT_FUNCTION` take a function to ask for the gradient where they want it, `NEEDS_LOSS` take the
  loss as a second argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oracles import (
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
    lion,
    nadam,
    nesterov,
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

if TYPE_CHECKING:
    from collections.abc import Callable

ORACLES: dict[tuple[str, str], Callable[..., Any]] = {
    ("gradient_descent", "plain"): gradient_descent.GradientDescent,
    ("heavy_ball", "rate_inside"): heavy_ball.RateInside,
    ("heavy_ball", "rate_outside"): heavy_ball.RateOutside,
    ("heavy_ball", "damped_average"): heavy_ball.DampedAverage,
    ("heavy_ball_two_sequences", "undamped"): heavy_ball.TwoSequences,
    ("nesterov", "look_ahead"): nesterov.LookAhead,
    ("nesterov", "change_of_variables"): nesterov.ChangeOfVariables,
    ("nesterov", "rate_outside"): nesterov.RateOutside,
    ("nesterov_acceleration", "growing"): nesterov.Acceleration,
    ("nesterov_acceleration", "constant"): nesterov.ConstantAcceleration,
    ("rprop", "minus"): rprop.RpropMinus,
    ("rprop", "improved_minus"): rprop.IRpropMinus,
    ("rprop", "plus"): rprop.RpropPlus,
    ("rprop", "improved_plus"): rprop.IRpropPlus,
    ("adagrad", "eps_outside"): adagrad.EpsOutside,
    ("adagrad", "eps_inside"): adagrad.EpsInside,
    ("adagrad", "torch"): adagrad.Torch,
    ("rmsprop", "eps_outside"): rmsprop.EpsOutside,
    ("rmsprop", "eps_inside"): rmsprop.EpsInside,
    ("rmsprop", "centred"): rmsprop.Centred,
    ("rmsprop", "centred_eps_inside"): rmsprop.CentredEpsInside,
    ("rmsprop_momentum", "rate_outside"): rmsprop_momentum.RateOutside,
    ("rmsprop_momentum", "rate_outside_centred"): rmsprop_momentum.RateOutsideCentred,
    ("rmsprop_momentum", "rate_inside"): rmsprop_momentum.RateInside,
    ("rmsprop_momentum", "rate_inside_eps_outside"): rmsprop_momentum.RateInsideEpsOutside,
    ("rmsprop_momentum", "graves"): rmsprop_momentum.Graves,
    ("rmsprop_momentum", "nesterov"): rmsprop_momentum.Nesterov,
    ("adadelta", "rate_outside"): adadelta.RateOutside,
    ("adadelta", "rate_inside"): adadelta.RateInside,
    ("adam", "eps_outside"): adam.EpsOutside,
    ("adam", "eps_inside"): adam.EpsInside,
    ("adam", "uncorrected"): adam.Uncorrected,
    ("adam", "uncorrected_eps_inside"): adam.UncorrectedEpsInside,
    ("adam", "efficient"): adam.Efficient,
    ("adam", "l2"): adam.L2,
    ("adam", "amsgrad"): adam.AMSGrad,
    ("adam", "amsgrad_torch"): adam.AMSGradTorch,
    ("adam", "amsgrad_of_corrected"): adam.AMSGradOfCorrected,
    ("adamax", "paper"): adamax.Paper,
    ("adamax", "eps"): adamax.Eps,
    ("adamw", "coupled_to_rate"): adamw.CoupledToRate,
    ("adamw", "paper"): adamw.Paper,
    ("adamw", "fully_decoupled"): adamw.FullyDecoupled,
    ("sign_descent", "plain"): sign_descent.Sign,
    ("asgd", "torch"): asgd.Torch,
    ("delta_bar_delta", "jacobs"): delta_bar_delta.Jacobs,
    ("delta_bar_delta", "hinton"): delta_bar_delta.Hinton,
    ("nadam", "torch"): nadam.Torch,
    ("radam", "torch"): radam.Rectified,
    ("signum", "paper"): signum.Paper,
    ("lion", "paper"): lion.Paper,
    ("qhm", "paper"): qhm.Paper,
    ("qhadam", "paper"): qhadam.Paper,
    ("adabelief", "paper"): adabelief.Paper,
    ("yogi", "paper"): yogi.Paper,
    ("yogi", "corrected"): yogi.Corrected,
    ("adan", "corrected"): adan.Corrected,
    ("ademamix", "constant"): ademamix.Constant,
    ("ademamix", "warmed_up"): ademamix.WarmedUp,
    ("adopt", "clipped"): adopt.Clipped,
}

NEEDS_GRADIENT_FUNCTION = frozenset({("nesterov", "look_ahead")})
NEEDS_LOSS = frozenset({("rprop", "improved_plus")})
