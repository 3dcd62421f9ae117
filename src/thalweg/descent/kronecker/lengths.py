"""Where a step of K-FAC's goes, and how far: bounded in KL divergence, or fitted to the quadratic model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from thalweg.descent.kronecker.inverses import solve
from thalweg.descent.kronecker.quadratic import coefficients, combined
from thalweg.errors import CurvatureError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.descent.kronecker.closures import Evaluated
    from thalweg.descent.kronecker.estimates import Estimates
    from thalweg.descent.kronecker.layers import Layer

Stacks = dict[str, "Tensor"]
"""A direction of each layer, by its name: (blocks, m, n)."""
RAISE, LOWER = 0.25, 0.75
"""Reduction ratios below and above which the damping is changed: Martens and Grosse 2015, section 6.5."""


def preconditioned(layers: Sequence[Layer], estimated: Estimates, damping: Mapping[str, float]) -> Stacks:
    """(A ⊗ G + damping)⁻¹ times each layer's gradient. Raises `CurvatureError` for a layer without factors."""
    deltas: Stacks = {}
    for layer in layers:
        kept = estimated.kept.get(layer.name, {})
        if "A" not in kept:
            call = "call `step` with a closure that returns (loss, outputs), or `estimate_curvature(loss, outputs)`"
            told = "" if estimated.settings.fisher == "empirical" else f"; {call} before `loss.backward()`"
            raise CurvatureError(
                f"layer `{layer.name}` has a gradient and no factors: no forward pass of the layer itself led to the "
                f"loss{told}; where a function uses its weight, leave it to the chain, as skip=('{layer.name}.*',)"
            )
        gradient = layer.matrices(cast("Tensor", layer.weight.grad), None if layer.bias is None else layer.bias.grad)
        deltas[layer.name] = solve(gradient, kept, damping[layer.name], layer.name)
    return deltas


def clipping(
    deltas: Stacks, factors: Mapping[str, Mapping[str, Tensor]], rates: Mapping[str, float], bound: float
) -> float:
    """What a step is multiplied with so that ½ΔᵀFΔ, the KL divergence it is foretold to make, is at most the bound.

    Wu et al. 2017, arXiv:1708.05144: min(1, √(2δ/ΔᵀFΔ)) for a step of Δ, here the rate times the direction.
    """
    total = 0.0
    for name, delta in deltas.items():
        bent = factors[name]["G"] @ delta @ factors[name]["A"]
        total += rates[name] ** 2 * float((delta * bent).sum())
    return min(1.0, math.sqrt(2 * bound / total)) if total > 0 else 1.0


def fitted(
    layers: Sequence[Layer],
    deltas: Stacks,
    last: Mapping[str, Tensor],
    found: Evaluated,
    damping: float,
) -> tuple[Stacks, float]:
    """The direction, and with it the last step, as the quadratic model wants them; and what it foretells of the loss.

    What is given back is to be subtracted. Raises `CurvatureError` without a loss and outputs with their graph.
    """
    if found.outputs is None or not found.needs_backward:
        raise CurvatureError(
            "`rescale` fits the step to a model of the loss; call `step` with a closure that returns (loss, outputs)"
        )
    directions = [{name: -delta for name, delta in deltas.items()}]
    if all(name in last for name in deltas) and any(bool(move.any()) for move in last.values()):
        directions.append(dict(last))
    moves = [{p: part for layer in layers for p, part in layer.parts(one[layer.name])} for one in directions]
    gradient = {p: p.grad for p in moves[0] if p.grad is not None}
    if len(gradient) < len(moves[0]):
        moves = [{p: move[p] for p in gradient} for move in moves]
    multiples, foretold = coefficients(found.value, found.outputs, gradient, moves, damping)  # pyright: ignore[reportArgumentType]  # a tensor, where there are outputs
    steps = [{layer.name: one[layer.name] for layer in layers} for one in directions]
    return {name: -combined(steps, multiples)[name] for name in deltas}, foretold


def refuse_others(parameters: Sequence[Tensor], layers: Sequence[Layer], names: Mapping[int, str]) -> None:
    """Refuse parameters without factors where the model of the loss is over all. Raises `ParameterError`."""
    own = {id(p) for layer in layers for p in (layer.weight, layer.bias) if p is not None}
    other = next((p for p in parameters if id(p) not in own), None)
    if other is not None:
        raise ParameterError(
            f"`rescale` fits the step of all parameters, and {names.get(id(other), 'one')} is in no layer with "
            "factors; leave `rescale` out, or leave that parameter out of `params`"
        )


def adapted(damping: float, ratio: float, every: int) -> float:
    """The damping after a step that the model foretold so well: times or divided by (19/20)^T, section 6.5."""
    omega = (19 / 20) ** every
    if ratio > LOWER:
        return damping * omega
    return damping / omega if ratio < RAISE else damping
