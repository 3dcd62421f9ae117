"""The first steps of the model's oracles, done by hand on small numbers; a comment says how where it is not plain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oracles.cautious import by_count, by_mean

if TYPE_CHECKING:
    from collections.abc import Callable

Tensors = list[Any]
ROOT2 = 2**0.5

# Rule and dialect, its numbers, its rate, the start, the gradients of each step, the parameters after each.
PATHS: list[tuple[str, dict[str, Any], float | Callable[[int], float], Tensors, list[Tensors], list[Tensors]]] = [
    # Both tensors together have norm 5.
    ("normalised_descent-over_model", {}, 10.0, [[0, 0], [0]], [[[3, 0], [4]], [[0, 0], [0]]], [[[-6, 0], [-8]]] * 2),
    ("normalised_descent-per_tensor", {}, 10.0,
     [[0, 0], [0]], [[[3, 0], [0]], [[0, 1], [4]]], [[[-10, 0], [0]], [[-10, -10], [-10]]]),
    # 2.5/5 at first, nothing at the second step; by the greatest element 2.5/4; with ε = 1, 2.5/6.
    ("clip-over_model", {"max_norm": 2.5, "eps": 0.0}, 1.0,
     [[0, 0], [0]], [[[3, 0], [4]], [[0, 1], [0]]], [[[-1.5, 0], [-2]], [[-1.5, -1], [-2]]]),
    ("clip-over_model", {"max_norm": 2.5, "eps": 0.0, "norm_type": np.inf}, 1.0,
     [[0, 0], [0]], [[[3, 0], [4]]], [[[-1.875, 0], [-2.5]]]),
    ("clip-over_model", {"max_norm": 2.5, "eps": 1.0}, 1.0, [[0, 0], [0]], [[[3, 0], [4]]], [[[-1.25, 0], [-10 / 6]]]),
    ("clip-per_tensor", {"max_norm": 2.5, "eps": 0.0}, 1.0, [[0, 0], [0]], [[[3, 4], [2]]], [[[-1.5, -2], [-2]]]),
    # λ = 5/(10 + 5/2) = 0.4 on g + p/2 = (1.5, 12).
    ("lars-paper", {"eta": 1.0, "weight_decay": 0.5}, 1.0, [[3, 4]], [[[0, 10]]], [[[2.4, -0.8]]]),
    # Rates 1 and 0, β = 0, λ = 5/5 and then whatever: inside, half the first step follows; outside, nothing.
    ("lars-paper", {"eta": 1.0, "weight_decay": 0.0, "momentum": 0.5}, lambda k: 1.0 - k,
     [[3, 4]], [[[0, 5]]] * 2, [[[3, -1]], [[3, -3.5]]]),
    ("lars-rate_outside", {"eta": 1.0, "weight_decay": 0.0, "momentum": 0.5, "eps": 0.0}, lambda k: 1.0 - k,
     [[3, 4]], [[[0, 5]]] * 2, [[[3, -1]]] * 2),
    # u = g + p = (3, 0), λ = 5/3.
    ("lars-norm_of_sum", {"eta": 1.0, "weight_decay": 1.0}, 1.0, [[3, 4]], [[[0, -4]]], [[[-2, 4]]]),
    # Where either norm is 0, the step is the rate times the gradient.
    ("lars-paper", {"weight_decay": 0.0}, 0.5, [[0, 0]], [[[2, 0]]], [[[-1, 0]]]),
    ("lars-rate_outside", {"weight_decay": 0.0}, 0.5, [[0, 0]], [[[2, 0]]], [[[-1, 0]]]),
    ("lars-norm_of_sum", {"weight_decay": 0.0}, 0.5, [[0, 0]], [[[2, 0]]], [[[-1, 0]]]),
    # Without memory u is the sign, of norm √2, and ‖p‖ is 5; φ brings it to 2, or to 10. With λ = 1, u = (4, 3).
    ("lamb-corrected", {"beta1": 0, "beta2": 0, "eps": 0, "weight_decay": 0}, ROOT2,
     [[3, 4]], [[[7, -7]]], [[[-2, 9]]]),
    ("lamb-corrected", {"beta1": 0, "beta2": 0, "eps": 0, "weight_decay": 0, "phi_max": 2}, ROOT2,
     [[3, 4]], [[[7, -7]]], [[[1, 6]]]),
    ("lamb-corrected", {"beta1": 0, "beta2": 0, "eps": 0, "weight_decay": 0, "phi_min": 10}, ROOT2,
     [[3, 4]], [[[7, -7]]], [[[-7, 14]]]),
    ("lamb-uncorrected", {"beta1": 0, "beta2": 0, "eps": 0, "weight_decay": 1}, 0.5,
     [[3, 4]], [[[7, -7]]], [[[1, 2.5]]]),
    ("lamb-corrected", {"beta1": 0, "beta2": 0, "eps": 0, "weight_decay": 0}, 0.5,
     [[0, 0]], [[[7, -7]]], [[[-0.5, 0.5]]]),
    # Squares of rank one: V̂ is exact and U all ones; α is half the root mean square of p.
    ("adafactor-paper", {}, 0.5,
     [[[2, 2], [2, 2]]], [[[[1, 2], [2, 4]]]] * 2, [[[[1, 1], [1, 1]]], [[[0.5, 0.5], [0.5, 0.5]]]]),
    ("adafactor-paper", {"d": 0.25}, 0.5, [[2, 2]], [[[1, -7]]], [[[1.75, 2.25]]]),
    ("adafactor-paper", {"d": 0.25, "eps2": 8.0}, 0.5, [[2, 2]], [[[1, -7]]], [[[1, 3]]]),
    ("sophia-paper", {"beta1": 0.5, "weight_decay": 0.25}, 1.0, [[2]], [[[3]]], [[[0.5]]]),
    # c = g + (g − g'): 0.1, then 0.3; or from zero 0.2, then 0.3. m̂ = c, then (m/2 + c/2)/(3/4), and v̂ = c².
    ("mars-approximate", {"beta1": 0.5, "beta2": 0, "gamma": 1, "eps": 0}, 1.0,
     [[0]], [[[0.1]], [[0.2]]], [[[-1]], [[-1 - 0.175 / 0.75 / 0.3]]]),
    ("mars-approximate_from_zero", {"beta1": 0.5, "beta2": 0, "gamma": 1, "eps": 0}, 1.0,
     [[0]], [[[0.1]], [[0.2]]], [[[-1]], [[-1 - 0.2 / 0.75 / 0.3]]]),
    # A gradient of norm 5 is shortened to (0.6, 0.8), and with ε = 1 that is what is seen of it.
    ("mars-approximate", {"eps": 1}, 1.0, [[0, 0]], [[[3, 4]]], [[[-0.6 / 1.6, -0.8 / 1.8]]]),
    # v = (1, 1), then (0.5, 1.5) where the first gradient has turned: one of two is left, times 2 or 2/2.
    ("cautious-momentum", {"beta": 0.9, "mask": by_mean}, 1.0,
     [[0, 0]], [[[1, 1]], [[-0.4, 0.6]]], [[[-1, -1]], [[-1, -4]]]),
    ("cautious-momentum", {"beta": 0.9, "mask": by_count}, 1.0,
     [[0, 0]], [[[1, 1]], [[-0.4, 0.6]]], [[[-2 / 3, -2 / 3]], [[-2 / 3, -2 / 3 - 1.5]]]),
    ("cautious-lion", {"mask": by_mean, "weight_decay": 0.5}, 1.0, [[2, 2, 2]], [[[1, 1, 0]]], [[[-0.5, -0.5, 1]]]),
    ("cautious-adamw", {"mask": by_count, "weight_decay": 0.5, "eps": 0.5}, 1.0, [[2]], [[[1.5]]], [[[1 - 0.75 / 2]]]),
    # λ = 1/5; s = (0.6, 0.8), twice, three times that; d̂ = 0, 2/2 and 6/3: the fourth step is twice as long.
    ("d_adaptation-sgd", {"d0": 1.0}, 1.0, [[0, 0]], [[[3, 4]]] * 4, [[[-0.6 * k, -0.8 * k]] for k in (1, 2, 3, 5)]),
    # r_ε = 0.6; Σ‖g‖² = 4, 8, and the distance 0.6, then 0.6(1 + 1/√2).
    ("dog-over_model", {"reps_rel": 0.1, "eps": 0}, 1.0,
     [[3], [4]], [[[0], [2]]] * 2, [[[3], [3.4]], [[3], [3.4 - 0.6 / ROOT2]]]),
    ("dog-over_model", {"reps_rel": 0.1, "eps": 12}, 2.0, [[3], [4]], [[[0], [2]]], [[[3], [3.4]]]),
    ("dog-per_tensor", {"reps_rel": 0.1, "eps": 0}, 1.0, [[3], [4]], [[[1], [-9]]], [[[2.6], [4.5]]]),
    # Every step is d; r/s = 0, 2/4, 6/6, 12/8, of which the last is the first above 1: then r/s = 30/12.5.
    ("prodigy-adam", {"d0": 1.0, "beta1": 0, "beta2": 0, "beta3": 1, "eps": 0}, 1.0,
     [[0]], [[[2]]] * 6, [[[-x]] for x in (1, 2, 3, 4, 5.5, 7.9)]),
    ("prodigy-adam", {"d0": 1.0, "beta1": 0, "beta2": 0, "beta3": 1, "eps": 0, "d_coef": 4}, 1.0,
     [[0]], [[[2]]] * 3, [[[-x]] for x in (1, 2, 4)]),
    ("schedule_free-sgd", {"momentum": 0.5}, 1.0, [[0]], [[[1]]] * 3, [[[-1]], [[-1.75]], [[-2.5]]]),
    # γ = 1/2, 1; the weights are their squares; x = −0.5, then −0.1 − 1.2.
    ("schedule_free-sgd", {"momentum": 0.5, "warmup_steps": 2}, 1.0, [[0]], [[[1]]] * 2, [[[-0.5]], [[-1.4]]]),
    ("schedule_free-sgd", {"momentum": 0.5, "r": 1.0}, 1.0, [[0]], [[[1]]] * 2, [[[-1]], [[-(2 + 5 / 3) / 2]]]),
    ("schedule_free-adamw", {"beta1": 0.5, "beta2": 0, "eps": 0}, 1.0,
     [[0]], [[[7]]] * 3, [[[-1]], [[-1.75]], [[-2.5]]]),
    ("sgdw-decoupled", {"beta1": 0.5, "weight_decay": 0.1, "eta": 0.5}, 1.0, [[2]], [[[1]]] * 2, [[[1.4]], [[0.58]]]),
    ("sgdw-l2", {"beta1": 0.5, "weight_decay": 0.1, "eta": 0.5}, 1.0, [[2]], [[[1]]] * 2, [[[1.4]], [[0.53]]]),
    ("lookahead-around_descent", {"k": 2}, 1.0, [[0]], [[[1]]] * 4, [[[-1]], [[-1]], [[-2]], [[-2]]]),
    ("lookahead-around_adam", {"k": 2, "eps": 0.0}, 1.0, [[0]], [[[1]]] * 4, [[[-1]], [[-1]], [[-2]], [[-2]]]),
    # ggᵀ has the root ggᵀ/5; with the second gradient, at right angles and as long, G is 25I.
    ("full_matrix_adagrad-damped_outside", {"delta": 1.0}, 6.0,
     [[0, 0]], [[[3, 4]], [[4, -3]]], [[[-3, -4]], [[-7, -1]]]),
    ("full_matrix_adagrad-damped_inside", {"delta": 11.0}, 6.0,
     [[0, 0]], [[[3, 4]], [[4, -3]]], [[[-3, -4]], [[-7, -1]]]),
    # L = R = 4, then 8; a vector's matrix is ε + ggᵀ, with g of norm 5.
    ("shampoo-paper", {"eps": 0.0}, 1.0, [[[0]]], [[[[2]]]] * 2, [[[[-1]]], [[[-1 - 1 / ROOT2]]]]),
    ("shampoo-paper", {"eps": 11.0}, 6.0, [[0, 0]], [[[3, 4]]], [[[-3, -4]]]),
    # Diagonal gradients have the axes as eigenvectors; the first step only looks, the others are Adam's without memory.
    ("soap-of_code", {"beta1": 0, "beta2": 0, "weight_decay": 0}, 1.0,
     [[[0, 0], [0, 0]]], [[[[2, 0], [0, 1]]]] * 2, [[[[0, 0], [0, 0]]], [[[-1, 0], [0, -1]]]]),
    ("psgd-kron", {}, 1.0, [[[0]]], [[[[2]]]] * 2, [[[[-2]]], [[[-4]]]]),
]  # fmt: skip
