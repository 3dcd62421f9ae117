"""What is stepped at once: parameters of one formula, dtype and device, and a plan bound to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from thalweg.kernels.coarse import Between, Program
from thalweg.kernels.geometry import Geometry
from thalweg.kernels.parts import shape_in_parts
from thalweg.optimizer.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels import Plan
    from thalweg.optimizer.coarse_states import CoarseStates
    from thalweg.optimizer.formulas import Formula
    from thalweg.optimizer.sharding import Exchange, Shard
    from thalweg.optimizer.sharding.shard import Cut


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

    def wait(self) -> int | None:
        """Wait for a device; what `run` has not told yet."""
        ...

    def gathered(self, place: int = -1) -> dict[str, Tensor]:
        """What a pass has gathered, as vectors of its level; for the model, one value for each tensor."""
        ...

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come."""
        ...


PLACES = 2**20
"""More than an optimizer has parameters: keys to draw by tell the parts of each apart."""


@dataclass(frozen=True, eq=False)
class Member:
    """A parameter in its group."""

    parameter: Tensor
    """What is stepped: where the parameter lies on several processes, its part on this one."""
    place: int
    """Among all parameters of the optimizer."""
    reading: Reading
    label: str
    shard: Shard | None = None

    @property
    def whole(self) -> Tensor:
        """The parameter as it stands in its group."""
        return self.parameter if self.shard is None else self.shard.whole

    @property
    def key(self) -> int:
        """What it draws its random numbers by: its place, and which part of the parameter it is."""
        return self.place if self.shard is None else self.place + PLACES * self.shard.number

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """How it is cut, if this process has a part of it alone."""
        return () if self.shard is None else self.shard.cuts

    @property
    def formula(self) -> Formula:
        """What the group's chain does to this parameter."""
        return self.reading.formula_of(self.whole)

    @property
    def name(self) -> str:
        """What an error calls it."""
        return f"{self.label} ({'×'.join(map(str, self.whole.shape)) or 'a scalar'})"


@dataclass(eq=False)
class Launch:
    """The members that one launch steps, and the plan by which it does."""

    plan: Plan
    members: list[Member]
    binding: Binding
    check: Binding | None
    coarse_states: CoarseStates
    exchange: Exchange | None = None
    """Where a member is cut."""
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
        if self.plan.stores[0][0] == "p":
            self.binding.count()

    def wait(self) -> Member | None:
        """Wait for a device; gives a member with a gradient that was not finite, if that has not been told yet."""
        found = self.binding.wait()
        return None if found is None else self.members[found]

    def scale(self, grad_scale: Tensor | None) -> None:
        """For the next step, what `torch.amp.GradScaler` hands to an optimizer that counts on the device."""

    def look(self) -> Member | None:
        """The first member with a gradient that is not finite, where the launch can look; nothing is changed."""
        found = None if self.check is None else self.check.run()
        return None if found is None else self.members[found]

    def release(self) -> None:
        """Let the gradients go, where no `run` follows."""
        self.binding.release()

    def begin(self, model_sizes: Mapping[str, float], loss: float | None) -> None:
        """Compute the coarse values that need no pass, before the first one; `loss` where a formula asks for it."""
        if self._program is None:
            shapes = [shape_in_parts(member.parameter) for member in self.members]
            self._program = Program(self.plan, Geometry(shapes, exchange=self.exchange))
        constants = torch.tensor(self._constants, dtype=torch.float64)
        constants = constants.expand(len(self._places), -1) if len(constants) == 1 else constants[self._places]
        states = self.coarse_states.read(self.members, self.plan.coarse_states)
        if loss is not None:
            states["loss"] = torch.tensor(loss, dtype=torch.float64)
        self._between = Between(self._program, constants, states, model_sizes)
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
        for row, (reading, done) in enumerate(self._rows):
            if not (by_step or self._fresh or reading.changed):
                continue  # the constants are those of the step before
            numbers = reading.numbers
            values = [done + self._since + 1 if name == "t" else numbers[name] for name in self.plan.inputs]
            self._constants[row] = self.plan.compute_constants(*values)
            self.binding.set_constants(row, self._constants[row])
        self._fresh = False
