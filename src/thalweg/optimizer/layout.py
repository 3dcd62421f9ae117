"""Which launch steps which parameters: one for each formula, dtype and device among those that have a gradient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
import torch

from thalweg.errors import BackendError, ParameterError
from thalweg.kernels import CHECK, Plan
from thalweg.kernels.coarse import Between, Program
from thalweg.kernels.geometry import Geometry
from thalweg.optimizer.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.optimizer.coarse_states import CoarseStates
    from thalweg.optimizer.reading import Formula

Backend: TypeAlias = Literal["auto", "numba", "reference"]


class Binding(Protocol):
    """A plan tied to tensors; see `thalweg.kernels.numba.binding.NumbaBinding`."""

    def set_constants(self, row: int, values: Sequence[float]) -> None:
        """The constants of a row."""
        ...

    def set_rows(self, rows: Any, count: int) -> None:  # noqa: ANN401  # an array of integers
        """The row of each tensor."""
        ...

    def find(self) -> None:
        """Find parameters and gradients where they are now."""
        ...

    def release(self) -> None:
        """Let go of what `find` holds."""
        ...

    def count(self) -> None:
        """Tell autograd that the parameters have changed."""
        ...

    def run(self, place: int = -1) -> int | None:
        """Run a pass; the place of the first tensor with a gradient that is not finite."""
        ...

    def gathered(self, place: int = -1) -> dict[str, Tensor]:
        """What a pass has gathered, as vectors of its level; for the model, one value for each tensor."""
        ...

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come."""
        ...


@dataclass(frozen=True, eq=False)
class Member:
    """A parameter in its group."""

    parameter: Tensor
    place: int
    """Among all parameters of the optimizer."""
    reading: Reading
    label: str

    @property
    def formula(self) -> Formula:
        """What the group's chain does to this parameter."""
        return self.reading.formula_of(self.parameter)

    @property
    def name(self) -> str:
        """What an error calls it."""
        return f"{self.label} ({'×'.join(map(str, self.parameter.shape)) or 'a scalar'})"


@dataclass
class Launch:
    """The members that one launch steps."""

    plan: Plan
    members: list[Member]
    binding: Binding
    check: Binding | None
    coarse_states: CoarseStates
    _program: Program | None = None
    _between: Between | None = None
    _constants: list[tuple[float, ...]] = field(default_factory=list[tuple[float, ...]])
    _places: list[int] = field(default_factory=list[int])
    _rows: list[tuple[Reading, int]] = field(default_factory=list[tuple[Reading, int]])
    _since: int = 0
    _fresh: bool = False

    def start_at(self, steps: np.ndarray[Any, Any]) -> None:
        """Take the members' step counts: those alike in group and count share a row of constants."""
        rows: dict[tuple[int, int], int] = {}
        self._rows = []
        places: list[int] = []
        for member in self.members:
            done = int(steps[member.place])
            key = (id(member.reading), done)
            if key not in rows:
                rows[key] = len(rows)
                self._rows.append((member.reading, done))
            places.append(rows[key])
        self._places = places
        self._constants = [()] * len(rows)
        self.binding.set_rows(np.array(places, dtype=np.int64), len(rows))
        self._since = 0
        self._fresh = True

    def find(self) -> None:
        """Find the members' parameters and gradients where they are now."""
        self.binding.find()
        if self.check is not None:
            self.check.find()

    def count(self) -> None:
        """The step that was computed has been made."""
        self._since += 1
        self.binding.count()

    def finds_nonfinite(self) -> bool:
        """Whether a member has a gradient that is not finite; nothing is changed."""
        return self.check is not None and self.check.run() is not None

    def release(self) -> None:
        """Let the gradients go, where no `run` follows."""
        self.binding.release()

    def begin(self, model_size: float) -> None:
        """Compute the coarse values that need no pass, before the first one."""
        if self._program is None:
            self._program = Program(self.plan, Geometry([member.parameter.shape for member in self.members]))
        constants = torch.tensor(self._constants, dtype=torch.float64)[self._places]
        states = self.coarse_states.read(self.members, self.plan.coarse_states)
        self._between = Between(self._program, constants, states, model_size)
        self.settle(0, {})

    def settle(self, passes: int, gathered: Mapping[str, Tensor]) -> None:
        """Compute the coarse values that can be after so many passes, the last of which has gathered these."""
        if self._between is not None:
            self.binding.give(self._between.after(passes, gathered))

    def keep(self, gathered: Mapping[str, Tensor]) -> None:
        """Keep the new values of coarse states, after the last pass, which has gathered these."""
        if self._between is None:
            return
        new = self._between.updates(gathered)
        for kept in self.plan.coarse_states:
            if kept.name in new:
                self.coarse_states.write(self.members, kept, new[kept.name])
        self._between = None

    def gathered(self, place: int) -> dict[str, Tensor]:
        """What a pass has gathered."""
        return self.binding.gathered(place)

    def run(self, place: int) -> Member | None:
        """Run a pass on all members; gives the first with a gradient that is not finite."""
        found = self.binding.run(place)
        return None if found is None else self.members[found]

    def advance(self) -> None:
        """Compute the constants of the next step; `count` says that it has been made."""
        by_step = self.plan.depends_on_step
        inputs = self.plan.inputs
        for row, (reading, done) in enumerate(self._rows):
            if not (by_step or self._fresh or reading.changed):
                continue  # the constants are those of the step before
            numbers = reading.numbers
            values = [done + self._since + 1 if name == "t" else numbers[name] for name in inputs]
            self._constants[row] = self.plan.compute_constants(*values)
            self.binding.set_constants(row, self._constants[row])
        self._fresh = False


def build_launches(
    members: Sequence[Member],
    states: Mapping[Tensor, Mapping[str, Tensor]],
    coarse_states: CoarseStates,
    *,
    backend: Backend,
    nonfinite: Literal["raise", "skip", "propagate"],
) -> list[Launch]:
    """A launch for each structure, dtype and device among the members.

    `states[p]` are the states of `p` by their names in the formula. Raises `BackendError` where the backend cannot
    step a parameter.
    """
    sorted_out: dict[tuple[Any, ...], list[Member]] = {}
    for member in members:
        parameter = member.parameter
        key = (member.formula.structure, parameter.dtype, parameter.device)
        sorted_out.setdefault(key, []).append(member)
    launches: list[Launch] = []
    for group in sorted_out.values():
        plan = group[0].formula.plan
        parameters = [member.parameter for member in group]
        bind = _binder(backend, parameters[0])
        own = [{slot: states[p][slot] for slot in plan.slots[2:]} for p in parameters]
        looks_first = len(plan.passes) > 1  # before anything is moved
        launches.append(
            Launch(
                plan,
                group,
                bind(plan, parameters, own, guard=nonfinite == "raise" or (nonfinite == "skip" and looks_first)),
                bind(CHECK, parameters, own, guard=True) if nonfinite == "skip" and not looks_first else None,
                coarse_states,
            )
        )
    return launches


def _binder(backend: Backend, parameter: Tensor) -> Any:  # noqa: ANN401  # a class of bindings
    if parameter.device.type == "meta":
        message = "a parameter is on the meta device and has no values to step; load the model first"
        raise ParameterError(message)
    on_cpu = parameter.device.type == "cpu" and parameter.layout == torch.strided
    if backend == "reference" or (backend == "auto" and not on_cpu):
        from thalweg.kernels.reference import ReferenceBinding  # noqa: PLC0415  # only where it is used

        return ReferenceBinding
    if not on_cpu:
        message = f"the numba backend steps tensors on the CPU, and one is on {parameter.device}; use backend='auto'"
        raise BackendError(message)
    from thalweg.kernels.numba.binding import NumbaBinding  # noqa: PLC0415  # importing thalweg must not import numba

    return NumbaBinding
