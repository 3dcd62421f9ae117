"""Which launch steps which parameters: one for each formula, device and dtypes among those that have a gradient."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch

from thalweg.errors import BackendError, GradientError, ParameterError
from thalweg.kernels import CHECK
from thalweg.kernels.eight_bits import absmax_of
from thalweg.kernels.parts import PartsBinding
from thalweg.optimizer.capturable import CapturableLaunch
from thalweg.optimizer.compiled_launch import CompiledLaunch
from thalweg.optimizer.launch import Launch
from thalweg.optimizer.matrix_launch import MatrixLaunch
from thalweg.optimizer.sharding import Exchange, ShardsBinding
from thalweg.optimizer.sparse import bind_rows, is_sparse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from torch import Tensor

    from thalweg.kernels import Plan
    from thalweg.optimizer.capturable import DeviceCounts
    from thalweg.optimizer.coarse_states import CoarseStates
    from thalweg.optimizer.formulas import Formula
    from thalweg.optimizer.launch import Member
    from thalweg.optimizer.matrix_states import MatrixStates, Stack
    from thalweg.optimizer.rounds import Rounds
    from thalweg.optimizer.sharding import Shard

Backend: TypeAlias = Literal["auto", "numba", "triton", "reference"]


Mask: TypeAlias = "tuple[torch.layout | None, ...]"
"""Of each parameter, the layout of its gradient if it has one."""
NonFinite: TypeAlias = Literal["raise", "skip", "propagate"]
Looks: TypeAlias = Literal["as it moves", "first", "never"]
"""When a launch looks for gradients that are not finite."""


@dataclass
class Launches:
    """All launches of a step."""

    plain: list[Launch] = field(default_factory=list[Launch])
    """Those that move parameters, whose chains have no matrix method."""
    before: list[Launch] = field(default_factory=list[Launch])
    """Those that make the directions that matrix methods are given."""
    matrices: list[MatrixLaunch] = field(default_factory=list[MatrixLaunch])
    behind: list[Launch] = field(default_factory=list[Launch])
    """Those that move parameters by the directions that matrix methods have made."""
    adding: list[Launch] = field(default_factory=list[Launch])
    """Those that move nothing, and only add gradients up."""

    @property
    def all_by_formula(self) -> list[Launch]:
        """Those that run a plan."""
        return [*self.plain, *self.before, *self.behind, *self.adding]


@dataclass
class Layout:
    """The launches for one choice of parameters that have a gradient."""

    launches: list[Launch]
    rounds: Rounds
    moving: list[Tensor]
    places: np.ndarray[Any, Any] | slice
    idle: list[Tensor]
    shards: list[Shard]
    mask: Mask
    turn: tuple[bool, ...]
    """Of each group, whether it only adds up gradients; empty where no chain does."""
    adding: np.ndarray[Any, Any]
    """The places of those whose gradients are only added."""
    estimated: bool
    """Whether it is for a step that has new estimates of the curvature."""

    @property
    def is_late(self) -> bool:
        """Whether only the first passes of a step tell whether it is made."""
        return any(len(launch.plan.passes) > 1 for launch in self.launches)

    def find(self) -> None:
        """Find every tensor's address."""
        for shard in self.shards:
            shard.fetch()
        for launch in self.launches:
            launch.find()

    def release(self) -> None:
        """Let the gradients go, where no step follows."""
        for launch in self.launches:
            launch.release()
        for shard in self.shards:
            shard.release()

    def count(self) -> None:
        """The step has been made."""
        for launch in self.launches:
            launch.count()
        if self.shards:
            torch.autograd.graph.increment_version([shard.whole for shard in self.shards])
            for shard in self.shards:
                shard.release()


def build_launches(
    members: Sequence[Member],
    states: Mapping[Tensor, Mapping[str, Tensor]],
    coarse_states: CoarseStates,
    matrix_states: MatrixStates,
    *,
    backend: Backend,
    nonfinite: NonFinite,
    counts: DeviceCounts | None = None,
    estimated: bool = False,
) -> Launches:
    """A launch for each structure, device and dtypes among the members, and for each of its plans.

    `states[p]` are the states of what is stepped, `p`, by their names in the formula, and the estimate of its curvature
    where the step is `estimated`: has new ones. Raises `BackendError` where the backend cannot step a parameter. With
    `counts`, the device counts the steps there.
    """
    made = Launches()
    sorted_out: dict[tuple[Any, ...], list[Member]] = {}
    adding: dict[tuple[Any, ...], list[Member]] = {}
    stacks: dict[int, tuple[Stack, list[Member]]] = {}
    for member in members:
        parameter = member.parameter
        structure = _form(member, estimated=estimated).structure
        dtypes = tuple(state.dtype for state in states[parameter].values())
        key = (structure, parameter.dtype, dtypes, parameter.device, is_sparse(parameter))
        if member.reading.adds:
            adding.setdefault(key, []).append(member)
            continue
        sorted_out.setdefault(key, []).append(member)
        if member.formula.whole is not None:
            stack = matrix_states.of(member)
            stacks.setdefault(id(stack), (stack, []))[1].append(member)
    made.matrices = [MatrixLaunch(stack, some) for stack, some in stacks.values()]
    is_late = any(len(plan.passes) > 1 for group in sorted_out.values() for plan in group[0].formula.plans)
    looks: Mapping[NonFinite, Looks] = {"raise": "as it moves", "skip": "first", "propagate": "never"}
    for group in adding.values():
        plan = group[0].formula.adding
        assert plan is not None  # noqa: S101  # its chain waits
        arrays = [states[member.parameter] for member in group]
        made.adding.append(_launch(plan, group, arrays, coarse_states, backend, looks[nonfinite]))
    for group in sorted_out.values():
        formula = _form(group[0], estimated=estimated)
        arrays = [states[member.parameter] for member in group]
        if formula.whole is None:
            made.plain.append(
                _launch(formula.plan, group, arrays, coarse_states, backend, looks[nonfinite], counts, is_late=is_late)
            )
            continue
        name = formula.whole.cut.direction.name
        own = [(stack, stack.at(member)) for member in group for stack in [matrix_states.of(member)]]
        given = [{**some, name: stack.given[at]} for some, (stack, at) in zip(arrays, own, strict=True)]
        made_of_it = [{**some, name: stack.direction[at]} for some, (stack, at) in zip(arrays, own, strict=True)]
        look: Looks = "never" if nonfinite == "propagate" else "first"
        made.before.append(_launch(formula.whole.before, group, given, coarse_states, backend, look))
        made.behind.append(_launch(formula.plan, group, made_of_it, coarse_states, backend, "never"))
    return made


def _form(member: Member, *, estimated: bool) -> Formula:
    """What is done to a member at a step with, or without, new estimates of the curvature."""
    between = member.formula.between
    return member.formula if estimated or between is None else between


def _launch(
    plan: Plan,
    members: list[Member],
    arrays: Sequence[Mapping[str, Tensor]],
    coarse_states: CoarseStates,
    backend: Backend,
    looks: Looks,
    counts: DeviceCounts | None = None,
    *,
    is_late: bool = False,
) -> Launch:
    parameters = [member.parameter for member in members]
    has_codes = members[0].reading.keeps_codes(members[0].whole)
    _check_layout(parameters[0], has_codes=has_codes)
    bind: Any = _binder(backend, parameters[0])
    if parameters[0].is_complex():
        bind = functools.partial(PartsBinding, bind)
    wanted = [name for slot in plan.slots[2:] for name in (slot, absmax_of(slot)) if name in arrays[0]]
    own = [{name: some[name] for name in wanted} for some in arrays]
    if is_sparse(parameters[0]):
        if counts is not None:
            message = (
                f"the gradient of {members[0].name} is sparse, and the device counts no steps of such ones; leave "
                "`capturable` out, or make the layer with sparse=False"
            )
            raise GradientError(message)
        numba = bind.__name__ == "NumbaBinding"
        first = looks == "first"
        binding, check = bind_rows(plan, parameters, own, numba=numba, guard=looks == "as it moves", looks_first=first)
        return Launch(plan, members, binding, check, coarse_states)
    further: dict[str, Any] = {"keys": [member.key for member in members]} if plan.noise else {}
    further |= {"by_row": True} if has_codes else {}
    gathers = len(plan.passes) > 1  # its first pass can look, before anything is moved
    guard = looks == "as it moves" or (looks == "first" and gathers)
    exchange = Exchange(members) if any(member.cuts for member in members) else None
    if exchange is not None:
        if counts is not None:
            message = (
                "`capturable` is for parameters that are whole, and one is cut over several processes; leave it out"
            )
            raise BackendError(message)
        if parameters[0].is_complex():
            message = (
                f"{members[0].name} is complex and cut over several processes, where sums over its parts are not added "
                "up; keep complex parameters whole on each process"
            )
            raise ParameterError(message)
        bind = functools.partial(_bind_parts, bind, exchange)
    check = bind(CHECK, parameters, own, guard=True) if looks == "first" and not gathers else None
    if counts is not None:
        counted = counts.counted(members, is_late=is_late)
        binding = bind(plan, parameters, own, guard=guard, counted=counted, waits=looks == "first", **further)
        return CapturableLaunch(plan, members, binding, check, coarse_states, counts=counts)
    bound = bind(plan, parameters, own, guard=guard, **further)
    coarse = bound.coarse() if getattr(bind, "__name__", "") == "NumbaBinding" else None
    if coarse is not None:
        return CompiledLaunch(plan, members, bound, check, coarse_states, coarse=coarse)
    return Launch(plan, members, bound, check, coarse_states, exchange)


def _bind_parts(
    bind: Any,  # noqa: ANN401  # a class of bindings
    exchange: Exchange,
    plan: Plan,
    parts: Sequence[Tensor],
    states: Sequence[dict[str, Tensor]],
    *,
    guard: bool,
    keys: Sequence[int] = (),
) -> ShardsBinding:
    return ShardsBinding(bind, plan, parts, states, exchange, guard=guard, keys=keys)


def _check_layout(parameter: Tensor, *, has_codes: bool) -> None:
    """Refuse a gradient whose rows have no states of their own."""
    if has_codes and is_sparse(parameter):
        message = (
            "a gradient is sparse, and its parameter has states in 8 bits, whose blocks no row has for itself; choose "
            "torch.bfloat16 as their `state_dtype`, or make the layer with sparse=False"
        )
        raise BackendError(message)


def _binder(backend: Backend, parameter: Tensor) -> Any:  # noqa: ANN401  # a class of bindings
    if parameter.device.type == "meta":
        message = "a parameter is on the meta device and has no values to step; load the model first"
        raise ParameterError(message)
    on_cpu = parameter.device.type == "cpu" and parameter.layout == torch.strided
    on_gpu = parameter.device.type == "cuda" and parameter.layout == torch.strided
    has_triton = importlib.util.find_spec("triton") is not None
    if backend == "triton" or (backend == "auto" and on_gpu and has_triton):
        from thalweg.kernels.triton.binding import TritonBinding  # noqa: PLC0415  # only where it is used

        return TritonBinding
    if backend == "reference" or (backend == "auto" and not on_cpu):
        from thalweg.kernels.reference import ReferenceBinding  # noqa: PLC0415  # only where it is used

        return ReferenceBinding
    if not on_cpu:
        message = f"the numba backend steps tensors on the CPU, and one is on {parameter.device}; use backend='auto'"
        raise BackendError(message)
    from thalweg.kernels.numba.binding import NumbaBinding  # noqa: PLC0415  # importing thalweg must not import numba

    return NumbaBinding
