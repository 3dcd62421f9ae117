"""Nesterov's momentum in its look-ahead form: the gradient is really taken where the velocity leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thalweg.errors import ChainError
from thalweg.formula import Level
from thalweg.kernels.differentiable import Evaluation, Graph, Place, Row
from thalweg.optimizer.closures.closure_optimizer import ClosureOptimizer
from thalweg.optimizer.element_states import as_wanted
from thalweg.optimizer.functional.parameters import Parameter
from thalweg.optimizer.reading import Reading

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.formula import Trace
    from thalweg.optimizer.closures.evaluations import Evaluations


class LookAheadNesterov(ClosureOptimizer):
    """Steps by a chain, with the gradient taken where the chain would go without one: with heavy ball, at p + βv.

    `step(closure)` evaluates the closure once, there, and returns that loss. With `chain(heavy_ball(), step(…))` this
    is Sutskever et al.'s form, v ← βv − α∇f(p + βv) and p ← p + v; `nesterov()` is the same sequence seen at p + βv,
    and needs no closure. Any chain of formulas will do: what its state and its decay do by themselves is done first.
    The arguments are those of `Optimizer`.

    Sutskever, Martens, Dahl and Hinton 2013, ICML, Eq. 3 and 4.

    >>> import thalweg as tw, torch
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = tw.LookAheadNesterov(model, tw.chain(tw.heavy_ball(beta=0.9), tw.step(0.1)))
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (model(torch.ones(3, 2)) - 1).square().mean()
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    """

    method = "look_ahead_nesterov"

    @torch.no_grad()
    def _explore(self, evaluate: Evaluations) -> None:
        places = [place for group in self.param_groups for place in self._places(Reading(group, self._dialect))]
        step = Evaluation(places)
        led = [step.value(place.graph.trace.parameter, place) for place in places]
        for place, point in zip(places, led, strict=True):
            parameter = place.arrays["p"]
            _ = evaluate.origin(parameter)
            parameter.copy_(point)
        evaluate()

    def _places(self, reading: Reading) -> list[Place]:
        """The group's parameters, as if their gradients were zero."""
        graphs: dict[int, Graph] = {}
        rows: dict[tuple[int, float], Row] = {}
        places: list[Place] = []
        for parameter in reading.group["params"]:
            if not parameter.requires_grad or not parameter.numel():
                continue
            trace = _formula(reading, parameter)
            graph = graphs.setdefault(id(trace), Graph(trace))
            begun = Parameter("", parameter, graph, reading.numbers).begin
            states: dict[str, Tensor] = self.state.get(parameter) or begun()
            of_model = [kept.name for kept in trace.states if kept.level is Level.MODEL]
            known = as_wanted(states, dict.fromkeys((kept.name for kept in trace.states), torch.float32)) | {
                name: torch.tensor(reading.group[name]) for name in of_model
            }
            done = float(states.get("step", 0))
            row = rows.setdefault((id(trace), done), Row(torch.tensor(done + 1), reading.numbers))
            zero = torch.zeros((), dtype=parameter.dtype, device=parameter.device).expand(parameter.shape)
            places.append(Place(graph, row, {**known, "p": parameter, "g": zero}))
        return places


def _formula(reading: Reading, parameter: Tensor) -> Trace:
    """What steps a parameter. Raises `ChainError` if it is a matrix method, or goes by loss or curvature."""
    trace = reading.formula_of(parameter).trace
    if trace.uses_loss or trace.curvature is not None:
        what = "loss" if trace.uses_loss else "curvature"
        message = (
            f"{reading.group['chain']!r} needs the {what}, and where it leads before that is known cannot be said; "
            "use `Optimizer`"
        )
        raise ChainError(message)
    if trace.cut is not None:
        message = (
            f"{reading.group['chain']!r} steps a parameter of shape {tuple(parameter.shape)} by a matrix method, and "
            "where that leads without a gradient is not known; use `Optimizer`"
        )
        raise ChainError(message)
    return trace
