"""Moves all parameters of an optimizer by one step: who has a gradient, how often each was stepped, what to launch."""

from __future__ import annotations

import math
import operator
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.errors import GradientError, LossError, ParameterError
from thalweg.formula import Level
from thalweg.kernels import Moved
from thalweg.kernels.eight_bits import absmax_of
from thalweg.kernels.geometry import shape_of
from thalweg.optimizer.accumulation import Accumulation
from thalweg.optimizer.calls import CALLS, check_calls, policy
from thalweg.optimizer.capturable import DeviceCounts
from thalweg.optimizer.coarse_states import CoarseStates
from thalweg.optimizer.complaints import complain, refusal, tell_at_the_end, tell_late, too_many
from thalweg.optimizer.curvature_arrays import CurvatureArrays
from thalweg.optimizer.element_states import keep_sizes, take
from thalweg.optimizer.layout import Backend, Layout, Mask, NonFinite, build_launches
from thalweg.optimizer.losses import read_loss
from thalweg.optimizer.matrix_states import MatrixStates
from thalweg.optimizer.members import first_number, members_of
from thalweg.optimizer.reading import Reading
from thalweg.optimizer.rounds import Rounds
from thalweg.optimizer.sparse import check_layouts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.optimizer.dialect import Dialect
    from thalweg.optimizer.launch import Member
    from thalweg.optimizer.rounds import Stop
    from thalweg.optimizer.watched import WatchedState

_IMPLEMENTATION = operator.attrgetter("_cdata")
KEPT_LAYOUTS = 16
"""How many choices of parameters with a gradient are remembered."""


class Stepper:
    """Steps the parameters of an optimizer's groups; made anew when groups or states are replaced.

    `state` is the optimizer's: the stepper adds what a parameter lacks and takes over what it finds.
    """

    def __init__(
        self,
        groups: Sequence[dict[str, Any]],
        state: WatchedState,
        dialect: Dialect,
        *,
        nonfinite: NonFinite,
        backend: Backend,
        capturable: bool = False,
    ) -> None:
        self._groups = groups
        self._state = state
        self._dialect = dialect
        self._nonfinite: NonFinite = nonfinite
        self._backend: Backend = backend
        self._readings = [Reading(group, dialect, capturable=capturable) for group in groups]
        self._members = list(members_of(self._readings))
        self._curvature = CurvatureArrays(self._members)
        self._lists = [list(group["params"]) for group in groups]
        self._spread = [(m.whole, _IMPLEMENTATION(m.whole)) for m in self._members if m.shard is not None]
        self._steps = torch.zeros(len(self._members), dtype=_step_dtype())
        self._done = self._steps.numpy()
        for member in self._members:
            if state.get(member.whole):
                self._take_over(member)
        self._expected = self._done.copy()
        self._counts = DeviceCounts(self._members, self._done) if capturable else None
        self._accumulation = Accumulation(self._members, self._readings, state)
        self._coarse = CoarseStates(self._members)
        self._matrices = MatrixStates()
        self._estimated = False
        self._layouts: dict[tuple[bool | torch.layout | None, ...], Layout] = {}
        self._layout: Layout | None = None
        weakref.finalize(self, tell_at_the_end, self._layouts)
        self._follow_chains()
        state.note.changed = False

    @property
    def policy(self) -> NonFinite:
        """What becomes of what is not finite: as the optimizer was told, or as a stage says."""
        return self._policy

    @property
    def curved(self) -> Sequence[Member]:
        """The parameters whose chain asks for an estimate of the curvature."""
        return self._curvature.members

    def serves(self, groups: Sequence[dict[str, Any]], state: WatchedState) -> bool:
        """Whether groups, parameters and states are still those that this stepper was made for."""
        return (
            state is self._state
            and not state.note.changed
            and groups is self._groups
            and len(groups) == len(self._lists)
            and all(map(_same, groups, self._lists))
            and all(_IMPLEMENTATION(whole) == before for whole, before in self._spread)
            and self._done.tobytes() == self._expected.tobytes()
        )

    def wait(self) -> None:
        """Wait for devices: take over what they have counted, where nobody has set the count since.

        Raises `NonFiniteGradientError` for what they have found in earlier steps and not told yet.
        """
        if self._counts is not None:
            self._counts.tell(self._done, self._expected)
            self._coarse.tell()
        tell_late(self._layouts.values())

    def prepare(self) -> None:
        """Make the states of all parameters that have a gradient, as they are before a step; nothing moves."""
        self._find().release()

    def move(
        self,
        scaling: tuple[Tensor | None, Tensor | None] = (None, None),
        loss: object = None,
        estimates: Mapping[Tensor, Tensor] | None = None,
    ) -> bool:
        """One step; False if it was skipped because of a gradient, or a loss, that is not finite.

        `estimates` are those of the curvature that are new, by parameter. Raises `NonFiniteGradientError`, and
        `GradientError`, `LossError` and `CurvatureError`; with the latter three, nothing has moved.
        """
        self._refuse_to_capture(is_prepared=True)
        if self._counts is not None and self._counts.leave_out(scaling[1], self._readings):
            return True
        self._refresh()
        given = read_loss(loss, self._readings, nonfinite=self._policy) if self._uses_loss else None
        if self._policy == "skip" and given is not None and not math.isfinite(given):
            if any([reading.skip() for reading in self._readings]):  # noqa: C419  # each is to count it
                raise LossError(
                    f"the loss is {given}, and too many steps in a row have been left out; look at the data"
                )
            return False
        self._estimated = bool(estimates)
        if self._curvature.take(estimates or {}, self._done):
            self._forget_layouts()
        if not self._waits:
            return self._move(scaling, given)
        self._turn = self._accumulation.turn()
        with self._accumulation.completed():
            return self._move(scaling, given)

    def _move(self, scaling: tuple[Tensor | None, Tensor | None], loss: float | None) -> bool:
        """Move those that have a gradient, by the numbers as they are and, where a chain asks for it, by the loss."""
        layout = self._find()
        if self._counts is not None:
            self._counts.begin(scaling[1], is_late=layout.is_late)
        for launch in layout.launches:
            launch.advance()
            launch.scale(scaling[0])
        stop = self._prepare(layout, loss)
        if stop is not None:
            layout.release()
            if self._policy == "raise":
                raise refusal(stop.member, stop.why)
            if any([reading.skip() for reading in self._readings]):  # noqa: C419  # each is to count it
                raise too_many(stop.member, stop.why)
            return False
        bad = layout.rounds.move()
        layout.count()
        self._done[layout.places] += 1
        self._expected[layout.places] += 1
        if self._waits:
            self._accumulation.count(layout.places, layout.adding)
        for reading in self._readings:
            reading.changed = False
            reading.count()
        complain(bad, layout.adding)
        return True

    def _prepare(self, layout: Layout, loss: float | None) -> Stop | None:
        """All that is done before anything moves."""
        try:
            stop = layout.rounds.look() or layout.rounds.gather(loss) or layout.rounds.direct(self._done)
        except GradientError:
            layout.release()
            raise
        if self._counts is not None:
            self._counts.agree()
        return stop

    def _refuse_to_capture(self, *, is_prepared: bool) -> None:
        if self._counts is not None:
            looks_first = self._policy == "skip"
            self._counts.refuse_to_capture(self._readings, looks_first=looks_first, is_prepared=is_prepared)

    def _refresh(self) -> None:
        """Read the groups, and follow schedules."""
        changes = [reading.refresh() for reading in self._readings]
        if any(changes):
            self._forget_layouts()
            self._follow_chains()
            self._curvature = CurvatureArrays(self._members)
        for reading in self._readings:
            reading.follow_schedules()  # a user's code, which may do anything: before the gradients are looked for

    def _find(self) -> Layout:
        """The layout of this step, with every tensor's address."""
        layout = self._layout
        if (
            layout is None
            or layout.turn != self._turn
            or layout.estimated is not self._estimated
            or any(parameter.grad is not None for parameter in layout.idle)
        ):
            self._choose()
        while True:
            layout = self._layout or self._choose()
            try:
                layout.find()
            except TypeError:
                if all(parameter.grad is not None for parameter in layout.moving):
                    raise  # not what we take it for
                self._layout = None  # a gradient is gone
            except Moved:
                self._forget_layouts()
            except RuntimeError:
                check_layouts(self._members, rows_only=self._dialect.rows_only)
                if self._mask() == layout.mask:
                    raise
                self._layout = None  # a gradient has become sparse, or dense
            else:
                return layout

    def _choose(self) -> Layout:
        """The layout for those parameters that have a gradient now."""
        self._refuse_to_capture(is_prepared=False)
        mask = self._mask()
        key = (self._estimated, *self._turn, *mask)
        self._layout = self._layouts.pop(key, None) or self._lay_out(mask)
        self._layouts[key] = self._layout  # the last used is the last to go
        if len(self._layouts) > KEPT_LAYOUTS:
            tell_late([self._layouts.pop(next(iter(self._layouts)))])
        for launch in self._layout.launches:
            launch.start_at(self._done)
        return self._layout

    def _mask(self) -> Mask:
        """Of each parameter, the layout of its gradient if it has one."""
        gradients = (member.whole.grad for member in self._members)
        return tuple(None if gradient is None else gradient.layout for gradient in gradients)

    def _lay_out(self, mask: Mask) -> Layout:
        with_gradient = [m for m, has in zip(self._members, mask, strict=True) if has]
        moving = [member for member in with_gradient if member.whole.numel()]
        check_layouts(with_gradient, rows_only=self._dialect.rows_only)
        states = {member.parameter: self._states(member) for member in with_gradient}
        if self._estimated:
            for member in moving:
                states[member.parameter] |= self._curvature.array_of(member)
        self._take_matrix_states(moving)
        self._state.note.changed = False
        launches = build_launches(
            moving,
            states,
            self._coarse,
            self._matrices,
            backend=self._backend,
            nonfinite=self._policy,
            counts=self._counts,
            estimated=self._estimated,
        )
        adding = [m.place for m in with_gradient if m.reading.adds]
        counted = [m.place for m in with_gradient if not m.reading.adds]
        return Layout(
            launches=launches.all_by_formula,
            rounds=Rounds(launches, nonfinite=self._policy),
            moving=[member.whole for member in moving],
            places=slice(None) if len(counted) == len(mask) else np.array(counted, dtype=int),
            idle=[m.whole for m, has in zip(self._members, mask, strict=True) if not has],
            shards=[m.shard for m in moving if m.shard is not None],
            mask=mask,
            turn=self._turn,
            adding=np.array(adding, dtype=int),
            estimated=self._estimated,
        )

    def _states(self, member: Member) -> dict[str, Tensor]:
        """A parameter's states by their names in the formula: as they are, or as they start."""
        shard = member.shard
        entries = self._state[member.whole]
        if self._dialect.keeps_step:
            entries["step"] = self._steps[member.place]
        if member.reading.waits:
            entries[CALLS] = self._accumulation.entry(member)
        states: dict[str, Tensor] = {}
        for kept, by_row in member.formula.states:
            if kept.level is Level.MODEL:
                continue  # it stands in the group
            name = self._dialect.state_names.get(kept.name, kept.name)
            value = entries.get(name)
            before = value
            if value is None and not self._dialect.keeps_step:
                # as torch's SGD, which knows its first step by the missing buffer
                self._done[member.place] = self._expected[member.place] = 0
                if self._counts is not None:
                    self._counts.start_over(member)
            wanted = shape_of(kept.level, member.whole.shape)
            if value is not None and value.shape != wanted:
                message = (
                    f"{member.name} has now the shape {tuple(member.whole.shape)}, and its state `{name}` "
                    f"{tuple(value.shape)}; remove it from `optimizer.state` to begin anew"
                )
                raise ParameterError(message)
            if value is not None and shard is not None:
                value = shard.local(value, kept.level)
            if kept.level is not Level.ELEMENT:
                own = self._coarse.take(member, kept, value, first_number(kept.start, member))
            else:
                made = take(member, kept, value, entries.get(absmax_of(name)), by_row=by_row)
                states |= made
                own = made[kept.name]
                keep_sizes(entries, name, made.get(absmax_of(kept.name)))
            entries[name] = own if shard is None else shard.shared(own, kept.level, before)
        return states

    def _take_matrix_states(self, members: Sequence[Member]) -> None:
        """Room for the states of matrix methods: what is in the parameters' states lies there from now on."""
        names = self._dialect.state_names
        grown = self._matrices.take(members, lambda member: self._state[member.whole], names)
        for stack in grown:
            for member in stack.members:
                entries = self._state[member.whole]
                entries.update({names.get(name, name): own for name, own in stack.states_of(member).items()})
        if grown:
            self._layouts.clear()  # they hold what the stacks were before

    def _take_over(self, member: Member) -> None:
        """Count on from the step count that a loaded state brings."""
        state = self._state[member.whole]
        if self._dialect.keeps_step:
            self._done[member.place] = float(state.get("step", 0))
        else:
            self._done[member.place] = float(any(value is not None for value in state.values()))

    def _follow_chains(self) -> None:
        """Take from the groups' chains what they decide about whole calls."""
        chains = [reading.chain for reading in self._readings]
        check_calls(chains, self._nonfinite, capturable=self._counts is not None)
        self._policy: NonFinite = policy(chains, self._nonfinite)
        self._waits = any(reading.waits for reading in self._readings)
        self._uses_loss = any(reading.uses_loss for reading in self._readings)
        self._turn: tuple[bool, ...] = ()

    def _forget_layouts(self) -> None:
        self.wait()
        if self._counts is not None:
            self._counts.write(self._done)  # a parameter may be on another device now
        self._layouts.clear()
        self._matrices.forget()
        self._layout = None


def _same(group: dict[str, Any], before: Sequence[Tensor]) -> bool:
    """Whether a group's parameters are those that it had; what lies behind them is looked at when they are found."""
    now = group["params"]
    return len(now) == len(before) and all(map(operator.is_, now, before))


def _step_dtype() -> torch.dtype:
    """As torch: float32 unless the default is float64."""
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32
