"""A chain as pure functions of parameters, gradients and state, so that a step can be differentiated and batched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import torch
from torch import nn

from thalweg.chain import Chain
from thalweg.errors import ChainError
from thalweg.formula import Stage
from thalweg.formula.scalar import descend
from thalweg.kernels.differentiable import Evaluation, Graph, Place, Row
from thalweg.optimizer.functional.numbers import Numbers
from thalweg.optimizer.functional.parameters import Parameter, filled
from thalweg.optimizer.functional.structure import Structure
from thalweg.optimizer.selection import kinds, named_with_roles, refuse_doubts, treatment

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from torch import Tensor

    from thalweg.chain import Kind
    from thalweg.optimizer.functional.numbers import Number
    from thalweg.optimizer.roles import Role

AnyParams: TypeAlias = "dict[str, Tensor] | tuple[Tensor, ...] | list[Tensor]"
Params = TypeVar("Params", bound=AnyParams)


class FunctionalState(NamedTuple):
    """What is kept from one step to the next: tensors in dictionaries, so that `torch.func` can look inside."""

    steps: Tensor
    """How many steps have been made; schedules follow it."""
    each: Any
    """The states of each parameter by name, put together as the parameters are; `step` counts its own steps."""
    model: dict[str, Tensor]
    """The states that the model has one of."""


@dataclass(frozen=True)
class FunctionalOptimizer:
    """A chain as pure functions. Make one with `functional`."""

    chain: Chain
    roles: Mapping[str, Role] = field(default_factory=dict[str, "Role"])
    maximize: bool = False

    def init(self, params: AnyParams, **numbers: Number) -> FunctionalState:
        """The state before the first step, of parameters by name (`dict(model.named_parameters())`) or in order.

        `numbers` are those that `step` is given: a state may start at one.

        Raises `ParameterError`, `ChainError`, `HyperparameterError`.
        """
        steps = torch.zeros((), dtype=torch.float64)
        structure, parameters, _ = self._read(params, numbers, steps)
        each: list[dict[str, Tensor]] = []
        model: dict[str, Tensor] = {}
        for one in parameters:
            begun = one.begin()
            of_model = {kept.name: begun.pop(kept.name) for kept in one.of_model}
            model = of_model | model
            each.append({"step": steps.to(one.tensor.device), **begun})
        return FunctionalState(steps, structure.build(each), model)

    def step(
        self, params: Params, gradients: object, state: FunctionalState, **numbers: Number
    ) -> tuple[Params, FunctionalState]:
        """The parameters and the state after a step; nothing is changed in place.

        `gradients` are put together as the parameters are, or a sequence in their order; None is for a parameter that
        stays. `numbers` take the place of the chain's, by the names that they have in `Optimizer.param_groups` (`lr`,
        `beta1`, …): a number, a schedule, a tensor that broadcasts to every parameter, or one of these for each
        parameter, put together as they are. A tensor is not held to its range. Half precision is computed in float32. A
        gradient that is not finite makes the parameter so.

        Raises `ParameterError`, `GradientError`, `ChainError`, `HyperparameterError`.
        """
        structure, parameters, known = self._read(params, numbers, state.steps)
        states: list[dict[str, Tensor]] = structure.read(state.each, "the states")
        places = _places(parameters, structure.read(gradients, "the gradients"), states, state.model)
        evaluation = Evaluation([place for place in places if place is not None and place.arrays["p"].numel()])
        new: list[Tensor] = []
        each: list[dict[str, Tensor]] = []
        model: dict[str, Tensor] = {}
        for one, place, own in zip(parameters, places, states, strict=True):
            tensor, after = one.tensor, dict[str, "Tensor"]()
            if place is not None and tensor.numel():
                tensor, after = one.step(evaluation, place)
                for kept in one.of_model:
                    known.check_one_for_the_model(kept.name, kept.after)
                    model.setdefault(kept.name, after.pop(kept.name))
            new.append(tensor)
            each.append(own if place is None else {**own, **after, "step": place.row.step})
        return structure.build(new), FunctionalState(state.steps + 1, structure.build(each), state.model | model)

    def evaluation_point(self, params: Params, state: FunctionalState, **numbers: Number) -> Params:
        """Where evaluation is to see the parameters: at an average, or the point that a schedule-free rule has in mind.

        Raises `ChainError` if the chain has no such point.
        """
        structure, parameters, _ = self._read(params, numbers, state.steps)
        if not any(one.graph.trace.evaluation is not None for one in parameters):
            message = f"{self.chain!r}: evaluation sees the parameter where it is; put an average behind the step"
            raise ChainError(message)
        tensors = [one.tensor for one in parameters]
        places = _places(parameters, tensors, structure.read(state.each, "the states"), state.model)
        evaluation = Evaluation([place for place in places if place is not None])
        points: list[Tensor] = []
        for one, place in zip(parameters, places, strict=True):
            node = one.graph.trace.evaluation
            seen = one.tensor if node is None or place is None else evaluation.value(node, place)
            points.append(filled(seen.to(one.tensor.dtype), one.tensor.shape))
        return structure.build(points)

    def _read(
        self, params: AnyParams, given: Mapping[str, Number], steps: Tensor
    ) -> tuple[Structure, list[Parameter], Numbers]:
        structure = Structure.of(params)
        tensors: list[Tensor] = structure.read(params, "the parameters")
        graphs = [_graph(self.chain, kind, maximize=self.maximize) for kind in self._kinds(structure, tensors)]
        traces = list({id(graph): graph.trace for graph in graphs}.values())
        numbers = Numbers(self.chain, traces, given, structure, steps)
        parameters = [
            Parameter(label, tensor, graph, numbers.of(at, tensor))
            for at, (label, tensor, graph) in enumerate(zip(structure.labels, tensors, graphs, strict=True))
        ]
        return structure, parameters, numbers

    def _kinds(self, structure: Structure, tensors: Sequence[Tensor]) -> list[Kind]:
        group: dict[str, Any] = {"params": tensors}
        if structure.names is not None:
            group["param_names"] = structure.names
        if self.roles and self.chain.selects and structure.names is not None:
            _, group["roles"] = named_with_roles(zip(structure.names, tensors, strict=True), self.roles)
        return kinds(group, self.chain)

    def __repr__(self) -> str:
        return f"functional({self.chain!r}{', maximize=True' if self.maximize else ''})"


def functional(
    chain: Chain, *, roles: nn.Module | Mapping[str, Role] | None = None, maximize: bool = False
) -> FunctionalOptimizer:
    """The chain as pure functions: `init` gives a state, `step` new parameters and a new state.

    A step is an expression of torch's operations: back-propagate through it to parameters, gradients, state and
    hyper-parameters, or put it into `torch.func.grad`, `vmap` or `jvp`. What comes out is what `Optimizer` computes, to
    rounding. Where stages choose their parameters by role, `roles` is the model to read them off, or the roles by name.

    Raises `ChainError` for what is no chain of formulas.

    >>> import thalweg as tw, torch
    >>> inner = tw.functional(tw.chain(tw.gradient_descent(), tw.step(0.1)))
    >>> rate = torch.tensor(0.5, requires_grad=True)
    >>> params = {"x": torch.tensor(3.0)}
    >>> params, state = inner.step(params, {"x": torch.tensor(2.0)}, inner.init(params), lr=rate)
    >>> params["x"].square().backward()
    >>> rate.grad
    tensor(-8.)
    """
    if not isinstance(chain, Chain):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
        raise ChainError(f"functional() takes a chain, and got {chain!r}; write `functional(chain(…, step(…)))`")
    for place, stage in enumerate(chain.rules):
        if isinstance(stage, Stage) and stage.rule.calls is not None:
            message = (
                f"chain stage {place + 1}, {stage!r}: decides about whole calls of `step`, and those of functional() "
                "are yours: add gradients up, or leave a step out, before you call it"
            )
            raise ChainError(message)
        if not isinstance(stage, Stage):
            message = (
                f"chain stage {place + 1}, {stage!r}: is no formula over elements, and functional() has no derivative "
                "for it"
            )
            raise ChainError(message)
    if any(node.operation == "uniform" for traced in chain.traces() for node in descend(traced.parameter)):
        message = f"{chain!r} draws random numbers, and functional() has no derivative for them; leave that stage out"
        raise ChainError(message)
    if isinstance(roles, nn.Module):
        refuse_doubts(roles, lambda name, role, shape: treatment(chain, name, role, shape), {}, chain)
        named, found = named_with_roles(roles, {})
        roles = {name: role for (name, _), role in zip(named, found, strict=True)}
    return FunctionalOptimizer(chain, dict(roles or {}), maximize)


_graphs: dict[Hashable, Graph] = {}


def _graph(chain: Chain, kind: Kind, *, maximize: bool) -> Graph:
    key = (chain.structure, kind, maximize)
    if key not in _graphs:
        traced = chain.trace(is_matrix=kind.is_matrix, active=kind.active, maximize=maximize)
        if traced.uses_loss or traced.curvature is not None:
            what = "loss" if traced.uses_loss else "curvature"
            raise ChainError(f"{chain!r} steps by more than gradients, and functional() is given no {what}")
        _graphs[key] = Graph(traced)
    return _graphs[key]


def _places(
    parameters: Sequence[Parameter],
    gradients: Sequence[Tensor | None],
    states: Sequence[Mapping[str, Tensor]],
    model: Mapping[str, Tensor],
) -> list[Place | None]:
    """Where each parameter that has a gradient is stepped; those of the same numbers share what is computed of them."""
    rows: dict[Hashable, Row] = {}
    places: list[Place | None] = []
    for one, gradient, own in zip(parameters, gradients, states, strict=True):
        if gradient is None:
            places.append(None)
            continue
        arrays = one.arrays({**model, **own}, gradient)
        key = (id(one.graph), one.tensor.device, id(own["step"]), *map(id, one.numbers.values()))
        if key not in rows:
            rows[key] = Row(own["step"] + 1, one.numbers)
        places.append(Place(one.graph, rows[key], arrays))
    return places
