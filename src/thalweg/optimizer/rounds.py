"""Runs the passes of all launches in step with each other, so that sums over the model see every parameter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from thalweg.errors import ChainError
from thalweg.formula import Level
from thalweg.kernels.parts import shape_in_parts
from thalweg.optimizer.sharding import Agreement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from torch import Tensor

    from thalweg.kernels.plan import Pass, Reduction
    from thalweg.optimizer.launch import Launch, Member
    from thalweg.optimizer.layout import Launches, NonFinite

_MERGE = {"total": torch.sum, "largest": torch.amax}
Run: TypeAlias = "tuple[Launch, int]"
"""A launch and the place of one of its passes."""


@dataclass(frozen=True)
class Stop:
    """Why a step is not made."""

    member: Member
    why: str


@dataclass(frozen=True)
class Round:
    """Passes side by side, and those whose launches know all that they need for the next one afterwards."""

    runs: list[Run]
    settled: list[Run]


class Rounds:
    """The launches of one choice of parameters that have a gradient.

    Raises `ChainError` if chains would gather one thing over the model, and each waits for the other.
    """

    def __init__(self, launches: Launches, *, nonfinite: NonFinite) -> None:
        self._launches = launches
        self._looks = nonfinite != "propagate"
        every = launches.all_by_formula
        self._looking = [launch for launch in every if launch.check is not None]
        self._coarse = [launch for launch in every if launch.plan.levels]
        self._moving = [*launches.plain, *launches.behind]
        self._sizes = _sizes(every)
        agreement = Agreement([member for launch in every for member in launch.members])
        self._agreement = agreement if agreement.is_needed and self._looks else None
        self._early, self._late = _schedule(launches)
        self._gathered: dict[Run, dict[str, Tensor]] = {}

    def look(self) -> Stop | None:
        """Look for a gradient that is not finite where that must be known first: nothing is changed."""
        if not self._looking:
            return None
        found = self._agreed([member for launch in self._looking if (member := launch.look()) is not None])
        return _stop(found, "has a NaN or an infinity, and a matrix method needs the whole of it; nothing has moved")

    def gather(self, loss: float | None = None) -> Stop | None:
        """All passes but the last of each launch that waits for no matrix method: nothing is moved.

        `loss` is that of the step, where a formula asks for it.

        Stops at a gradient that is not finite, if the launches look for one: there is nothing to go on with.
        """
        self._gathered.clear()
        for launch in self._coarse:
            launch.begin(self._sizes, loss)
        for one in self._early:
            found = self._run(one)
            if found:
                return _stop(found, "has a NaN or an infinity, and the step needs a sum over it; nothing has moved")
        return None

    def direct(self, done: np.ndarray[Any, Any]) -> Stop | None:
        """Give the matrix methods their directions, and have them make their own; no parameter is moved.

        `done` says how often each parameter has been stepped. Stops at a direction without a finite length.
        """
        matrices = self._launches.matrices
        for launch in self._launches.before:
            launch.run(-1)
        if self._looks and matrices:
            found = [member for launch in matrices if (member := launch.look()) is not None]
            if found:
                return _stop(found, "is too large to be squared, as a matrix method must, and no parameter has moved")
        for launch in matrices:
            launch.run(done)
        return None

    def move(self) -> list[Member]:
        """What is left. Gives those members whose gradient is not finite, if the launches look."""
        for one in self._late:
            self._run(one)
        last = [launch.run(-1) for launch in (*self._moving, *self._launches.adding)]
        found = [member for member in last if member is not None]
        if self._coarse:
            last = {(launch, -1): launch.gathered(-1) for launch in self._coarse}
            for launch in self._coarse:
                launch.keep(_merged(launch, -1, last))
        # a device tells of what it has moved too late for all to agree, and needs no agreement: all have moved
        late = self._agreement is not None and self._agreement.waits
        return found if late else self._agreed(found)

    def _agreed(self, found: list[Member]) -> list[Member]:
        """What all processes go by, where parameters are cut: the first that one of them has found."""
        return found if self._agreement is None else self._agreement.on(found)

    def _run(self, one: Round) -> list[Member]:
        """Run a round. Gives those members whose gradient is not finite, if the launches look."""
        found: list[Member] = []
        for launch, place in one.runs:
            member = launch.run(place)
            found += [member] if member is not None else []
        if any(place == 0 for _, place in one.runs):
            found = self._agreed(found)
        for launch, place in one.runs if not found else ():
            self._gathered[launch, place] = launch.gathered(place)
        if not found:
            for launch, place in one.settled:
                launch.settle(place + 1, _merged(launch, place, self._gathered))
        return found


def _stop(found: Sequence[Member], why: str) -> Stop | None:
    return Stop(min(found, key=lambda member: member.place), why) if found else None


def _of_model(one: Pass) -> list[Reduction]:
    return [reduction for reduction in one.reductions if reduction.level is Level.MODEL]


def _sizes(launches: Iterable[Launch]) -> dict[str, float]:
    """From how many elements things are gathered over the model, by their names: of the parameters they are for."""
    members: dict[str, set[Member]] = {}
    for launch in launches:
        for name in launch.plan.of_model:
            members.setdefault(name, set()).update(launch.members)
    return {
        name: float(sum(math.prod(shape_in_parts(member.whole)) for member in some)) for name, some in members.items()
    }


def _merged(own: Launch, place: int, gathered: Mapping[Run, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What a launch has gathered in a pass; what is gathered over the model, over all launches."""
    values = dict(gathered[own, place])
    for reduction in _of_model(own.plan.passes[place]):
        parts = [
            found[other.name].to(values[reduction.name].device)
            for (launch, at), found in gathered.items()
            for other in _of_model(launch.plan.passes[at])
            if other.shared == reduction.shared
        ]
        whole = parts[0] if len(parts) == 1 else torch.cat(parts)
        values[reduction.name] = _MERGE[reduction.value.operation](whole)
    return values


def _schedule(launches: Launches) -> tuple[list[Round], list[Round]]:
    """The rounds of early passes: those before matrix methods make their directions, and those after that."""
    every = launches.all_by_formula
    _refuse_mixtures(every)
    wanted: dict[str, set[Run]] = {}
    for launch in every:
        for place, one in enumerate(launch.plan.passes[:-1]):
            for reduction in _of_model(one):
                wanted.setdefault(reduction.shared, set()).add((launch, place))
    done: set[Run] = set()
    settled: set[Run] = set()

    def rounds(some: Sequence[Launch]) -> list[Round]:
        made: list[Round] = []
        while True:
            runs = [
                (launch, place)
                for launch in some
                for place in range(len(launch.plan.passes) - 1)
                if (launch, place) not in done and (place == 0 or (launch, place - 1) in settled)
            ]
            if not runs:
                return made
            done.update(runs)
            ready = [
                (launch, place)
                for launch, place in sorted(done - settled, key=lambda run: every.index(run[0]))
                if all(wanted[reduction.shared] <= done for reduction in _of_model(launch.plan.passes[place]))
            ]
            settled.update(ready)
            made.append(Round(runs, ready))

    early = rounds([*launches.plain, *launches.before])
    _refuse_deadlock(launches.before, settled)
    late = rounds(every)
    _refuse_deadlock(every, settled)
    return early, late


def _refuse_deadlock(launches: Iterable[Launch], settled: set[Run]) -> None:
    for launch in launches:
        for place, one in enumerate(launch.plan.passes[:-1]):
            if (launch, place) not in settled:
                waits = [reduction.shared.rsplit(".", 1)[0] for reduction in _of_model(one)]
                raise ChainError(
                    f"`{waits[0] if waits else 'a stage'}` gathers over the whole model, and stands in chains that "
                    "wait for each other; give all parameter groups their stages in the same order"
                )


def _refuse_mixtures(launches: Sequence[Launch]) -> None:
    """One thing cannot be gathered while some parameters move already."""
    last: dict[str, bool] = {}
    for launch in launches:
        for place, one in enumerate(launch.plan.passes):
            for reduction in _of_model(one):
                own = place == len(launch.plan.passes) - 1
                if last.setdefault(reduction.shared, own) != own:
                    stage = reduction.shared.rsplit(".", 1)[0]
                    message = (
                        f"`{stage}` gathers over the whole model, and stands in chains of which one needs more passes "
                        "behind it than another; give all parameter groups the same stages behind it"
                    )
                    raise ChainError(message)
