"""What a store hands out: races, problems, runs and choices as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
Kind: TypeAlias = Literal["surface", "training"]
Role: TypeAlias = Literal["tuning", "final", "path"]
Outcome: TypeAlias = Literal["finished", "diverged", "failed"]
Curve: TypeAlias = "Mapping[str, NDArray[np.float64]]"


@dataclass(frozen=True, kw_only=True)
class RaceRecord:
    """One race: what was asked for, when, on which machine, with which versions."""

    id: int
    key: str
    created: str
    finished: str | None
    schema_version: int
    command: str
    settings: Mapping[str, Json]
    machine: Mapping[str, Json]
    versions: Mapping[str, Json]
    source: Mapping[str, Json] | None


@dataclass(frozen=True, kw_only=True)
class ProblemRecord:
    """One problem of a race. A surface with two starts is two problems."""

    name: str
    kind: Kind
    title: str
    spec: Mapping[str, Json]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run of one optimizer on one problem, with its curve.

    The curve's arrays share one length; `step` counts the steps done, so that it starts at 0. `budget` is in
    gradient evaluations; where a step spends another number than one, `spent` has what was spent up to each
    point, and `final` what was spent in all, and on what. `seconds` is the time spent on training up to there.
    On a training problem `loss` is the minibatch loss averaged since the point before, on a surface it is the
    surface's value. A run with the role `path` has `x` and `y` for every step. The runs on a surface are
    stepped together, and `seconds` is each one's share.
    """

    problem: str
    optimizer: str
    chain: str
    tuned: Mapping[str, float]
    role: Role
    trial: int
    seed: int
    data_order: str | None
    budget: int
    outcome: Outcome
    message: str
    started: str
    seconds: float
    final: Mapping[str, float]
    curve: Curve = field(compare=False, repr=False)

    @property
    def spent(self) -> NDArray[np.float64]:
        """What had been spent at each point of the curve, in gradient evaluations."""
        return self.curve.get("spent", self.curve["step"])

    @property
    def cost(self) -> float:
        """What was spent in all, in gradient evaluations; of a run that diverged, what it was given."""
        return self.final.get("spent", self.budget)


@dataclass(frozen=True, kw_only=True)
class ChoiceRecord:
    """The setting that tuning chose for one optimizer on one problem.

    `trial` is None and `tuned` empty where no trial survived. `score` is the criterion over the tuning
    seeds, `final_score` the same criterion over the fresh seeds, once those have run; smaller is better and
    infinity means diverged.
    """

    problem: str
    optimizer: str
    trial: int | None
    tuned: Mapping[str, float]
    score: float
    final_score: float | None
    on_edge: bool
    trials: int
    extensions: int
    why: str
