"""Runs the passes of all launches in step with each other, so that sums over the model see every parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thalweg.errors import ChainError
from thalweg.formula import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thalweg.kernels.plan import Pass, Reduction
    from thalweg.optimizer.layout import Launch, Member

_MERGE = {"total": torch.sum, "largest": torch.amax}


class Rounds:
    """The launches of one choice of parameters that have a gradient.

    Raises `ChainError` if chains of different depth would gather one thing over the model.
    """

    def __init__(self, launches: Sequence[Launch]) -> None:
        self._launches = launches
        self._deep = [launch for launch in launches if len(launch.plan.passes) > 1]
        self._coarse = [launch for launch in launches if launch.plan.levels]
        self._size = float(sum(member.parameter.numel() for launch in launches for member in launch.members))
        _check(launches)

    def gather(self) -> Member | None:
        """All passes but the last of each launch: nothing is moved.

        Gives a member with a gradient that is not finite, if the launches look for one: there is nothing to go on with.
        """
        for launch in self._coarse:
            launch.begin(self._size)
        depth = max((len(launch.plan.passes) for launch in self._deep), default=1)
        for place in range(depth - 1):
            running = [launch for launch in self._deep if len(launch.plan.passes) > place + 1]
            found = [member for launch in running if (member := launch.run(place)) is not None]
            if found:
                return min(found, key=lambda member: member.place)
            for launch, gathered in zip(running, _merged(running, place), strict=True):
                launch.settle(place + 1, gathered)
        return None

    def move(self) -> list[Member]:
        """The last pass of each launch. Gives those members whose gradient is not finite, if the launches look."""
        found = [launch.run(-1) for launch in self._launches]
        for launch, gathered in zip(self._coarse, _merged(self._coarse, -1), strict=True):
            launch.keep(gathered)
        return [member for member in found if member is not None]


def _merged(launches: Sequence[Launch], place: int) -> list[dict[str, Tensor]]:
    """What each launch has gathered in a pass; what is gathered over the model, over all of them."""
    gathered = [launch.gathered(place) for launch in launches]
    shared: dict[str, list[Tensor]] = {}
    for launch, values in zip(launches, gathered, strict=True):
        for reduction in _of_model(launch.plan.passes[place]):
            shared.setdefault(reduction.shared, []).append(values[reduction.name])
    for launch, values in zip(launches, gathered, strict=True):
        for reduction in _of_model(launch.plan.passes[place]):
            everywhere = torch.cat([value.to(values[reduction.name].device) for value in shared[reduction.shared]])
            values[reduction.name] = _MERGE[reduction.value.operation](everywhere)
    return gathered


def _of_model(one: Pass) -> list[Reduction]:
    return [reduction for reduction in one.reductions if reduction.level is Level.MODEL]


def _check(launches: Sequence[Launch]) -> None:
    rounds: dict[str, int] = {}
    for launch in launches:
        count = len(launch.plan.passes)
        for place, one in enumerate(launch.plan.passes):
            for reduction in _of_model(one):
                own = -1 if place == count - 1 else place
                if rounds.setdefault(reduction.shared, own) != own:
                    stage = reduction.shared.rsplit(".", 1)[0]
                    message = (
                        f"`{stage}` gathers over the whole model, and stands in chains of which one needs more passes "
                        "before it than another; give all parameter groups the same stages before it"
                    )
                    raise ChainError(message)
