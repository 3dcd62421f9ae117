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

`MODEL_ORACLES` are the rules whose step needs more than each element alone: a norm, a row, a matrix, an average,
another point. They take a model's tensors as a list, and give them back as one:

    oracle = MODEL_ORACLES["lamb", "corrected"]([weight, bias], 1e-3, weight_decay=0.1)
    weight, bias = oracle.step([weight_gradient, bias_gradient])

- What they estimate or average is an attribute: `d` the distance (D-Adaptation, DoG, Prodigy), `x` the point to
  evaluate (schedule-free, the averages, Lookahead).
- `MODEL_NEEDS_GRADIENT_FUNCTION` take a function from the tensors to their gradients; Entropy-SGD also takes its
  walk's noise, and `MODEL_TAKES_CURVATURE` a diagonal of the curvature from outside, each as its docstring says.
- `MODEL_MATRICES_ONLY` take tensors of two dimensions alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oracles import (
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
    averages,
    cautious,
    clipping,
    d_adaptation,
    delta_bar_delta,
    dog,
    entropy_sgd,
    esgd,
    full_matrix_adagrad,
    gradient_descent,
    heavy_ball,
    lamb,
    lars,
    lion,
    lookahead,
    mars,
    muon,
    nadam,
    nesterov,
    normalised_descent,
    prodigy,
    psgd,
    qhadam,
    qhm,
    radam,
    rmsprop,
    rmsprop_momentum,
    rprop,
    sam,
    schedule_free,
    sgdw,
    shampoo,
    sign_descent,
    signum,
    soap,
    sophia,
    vsgd,
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

MODEL_ORACLES: dict[tuple[str, str], Callable[..., Any]] = {
    ("normalised_descent", "over_model"): normalised_descent.OverModel,
    ("normalised_descent", "per_tensor"): normalised_descent.PerTensor,
    ("clip", "over_model"): clipping.OverModel,
    ("clip", "per_tensor"): clipping.PerTensor,
    ("lars", "paper"): lars.Paper,
    ("lars", "rate_outside"): lars.RateOutside,
    ("lars", "norm_of_sum"): lars.NormOfSum,
    ("lamb", "corrected"): lamb.Corrected,
    ("lamb", "uncorrected"): lamb.Uncorrected,
    ("adafactor", "paper"): adafactor.Paper,
    ("adafactor", "torch"): adafactor.Torch,
    ("mars", "exact"): mars.Exact,
    ("mars", "approximate"): mars.Approximate,
    ("mars", "approximate_from_zero"): mars.ApproximateFromZero,
    ("cautious", "adamw"): cautious.AdamW,
    ("cautious", "lion"): cautious.Lion,
    ("cautious", "momentum"): cautious.Momentum,
    ("d_adaptation", "sgd"): d_adaptation.SGD,
    ("d_adaptation", "adam"): d_adaptation.Adam,
    ("d_adaptation", "adam_of_code"): d_adaptation.AdamOfCode,
    ("dog", "over_model"): dog.OverModel,
    ("dog", "per_tensor"): dog.PerTensor,
    ("prodigy", "adam"): prodigy.Adam,
    ("schedule_free", "sgd"): schedule_free.SGD,
    ("schedule_free", "adamw"): schedule_free.AdamW,
    ("schedule_free", "adamw_paper"): schedule_free.AdamWPaper,
    ("sophia", "paper"): sophia.Paper,
    ("sophia", "gauss_newton_of_code"): sophia.GaussNewtonOfCode,
    ("vsgd", "element_wise"): vsgd.ElementWise,
    ("vsgd", "finite_differences"): vsgd.FiniteDifferences,
    ("esgd", "paper"): esgd.Paper,
    ("sgdw", "decoupled"): sgdw.Decoupled,
    ("sgdw", "l2"): sgdw.L2,
    ("average", "ema"): averages.EMA,
    ("average", "ema_from_first_point"): averages.EMAFromFirstPoint,
    ("average", "ema_corrected"): averages.EMACorrected,
    ("average", "polyak"): averages.Polyak,
    ("average", "polynomial_decay"): averages.PolynomialDecay,
    ("average", "swa"): averages.SWA,
    ("lookahead", "around_descent"): lookahead.AroundDescent,
    ("lookahead", "around_adam"): lookahead.AroundAdam,
    ("sam", "paper"): sam.SAM,
    ("sam", "adaptive"): sam.ASAM,
    ("entropy_sgd", "paper"): entropy_sgd.Paper,
    ("entropy_sgd", "of_code"): entropy_sgd.OfCode,
    ("full_matrix_adagrad", "damped_outside"): full_matrix_adagrad.DampedOutside,
    ("full_matrix_adagrad", "damped_inside"): full_matrix_adagrad.DampedInside,
    ("shampoo", "paper"): shampoo.Paper,
    ("soap", "of_code"): soap.OfCode,
    ("muon", "torch"): muon.Torch,
    ("psgd", "kron"): psgd.Kron,
}

MODEL_NEEDS_GRADIENT_FUNCTION = frozenset(key for key in MODEL_ORACLES if key[0] in {"sam", "entropy_sgd"})
MODEL_TAKES_CURVATURE = frozenset(key for key in MODEL_ORACLES if key[0] in {"sophia", "vsgd", "esgd"})
MODEL_MATRICES_ONLY = frozenset({("muon", "torch"), ("psgd", "kron")})
