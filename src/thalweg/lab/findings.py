"""What a race found, in a sentence a problem, with the numbers that the sentence stands on.

Surfaces and training are kept apart: what is found on a surface says nothing about networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from thalweg.lab.scoring import TARGET_GAP
from thalweg.lab.special_cases import contained_in
from thalweg.lab.spending import unit_of
from thalweg.lab.standings import Arrival, arrivals, final_values, measure_of, standings, under_tuned
from thalweg.lab.statistics import Interval, Standing, interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.lab.records import Kind, ProblemRecord, RaceRecord
    from thalweg.lab.store import Store

Tone: TypeAlias = Literal["result", "warning"]


@dataclass(frozen=True)
class Finding:
    """One sentence about one problem. A warning says what weakens a result."""

    kind: Kind
    problem: str
    text: str
    tone: Tone = "result"


def findings(store: Store, race: RaceRecord) -> tuple[Finding, ...]:
    """Results first, problem by problem, surfaces before training; then the warnings.

    A problem on which no final run has ended yet has none.
    """
    problems = sorted(store.problems(race), key=lambda problem: problem.kind == "training")
    results = [finding for problem in problems for finding in _results(store, race, problem)]
    return (*results, *(warning for problem in problems for warning in _warnings(store, race, problem)))


def _results(store: Store, race: RaceRecord, problem: ProblemRecord) -> list[Finding]:
    placed = standings(store, race, problem)
    if not placed:
        return []
    if problem.kind == "training":
        text = _say_training(placed, measure_of(problem).replace("train_", "training ").replace("_", " "))
    else:
        gaps = final_values(store, race, problem, "gap")
        unit = unit_of(store.runs(race, problem=problem.name, role="final"))
        text = _say_surface(placed, arrivals(store, race, problem), gaps, unit)
    return [Finding(problem.kind, problem.name, f"{problem.name}: {text}")]


def _say_training(placed: Sequence[Standing], judged: str) -> str:
    leaders = [standing for standing in placed if standing.place == 1]
    best, last = leaders[0], placed[-1]
    if math.isinf(best.score.value):
        return "every optimizer diverged on some seed"
    verb = "tie for the lowest" if len(leaders) > 1 else "has the lowest"
    said = f"{_all_or(leaders, placed)} {verb} {judged} ({_print(best.score)}, {best.score.n} seeds)"
    if last.place == 1:
        return said
    if math.isinf(last.score.value):
        return f"{said}; {_join([s for s in placed if math.isinf(s.score.value)])} diverged"
    if best.score.value > 0:
        return f"{said}; {last.name} is last, at {last.score.value / best.score.value:.3g} times the lowest"
    return f"{said}; {last.name} is last, at {last.score.value:.3g}"


def _say_surface(
    placed: Sequence[Standing], arrived: Mapping[str, Arrival], gaps: Mapping[str, Sequence[float]], unit: str
) -> str:
    leaders = [standing for standing in placed if standing.place == 1]
    first, starts = leaders[0].name, leaders[0].score.n
    reached = [steps for steps in arrived[first].steps if math.isfinite(steps)] if first in arrived else []
    everywhere = sum(all(map(math.isfinite, arrival.steps)) for arrival in arrived.values())
    if 2 * len(reached) <= starts:
        gap = interval(gaps[first], statistic="median")
        return (
            f"{_all_or(leaders, placed)} {'tie for the lowest' if len(leaders) > 1 else 'comes lowest'}, and yet "
            f"{_print(gap)} above the lowest minimum; {len(reached)} of {starts} starts lead {first} there"
        )
    steps = interval(reached, statistic="median")
    return (
        f"{_all_or(leaders, placed)} {'tie for the quickest descent' if len(leaders) > 1 else 'comes down quickest'}: "
        f"within {TARGET_GAP:g} of the lowest minimum after {_print(steps)} {unit}, from {len(reached)} of {starts} "
        f"starts; {everywhere} of {len(placed)} optimizers get there from all"
    )


def _warnings(store: Store, race: RaceRecord, problem: ProblemRecord) -> list[Finding]:
    chosen = store.choices(race, problem=problem.name)
    said = [f"{choice.optimizer} diverged at every rate tried" for choice in chosen if choice.trial is None]
    edge = [choice.optimizer for choice in chosen if choice.on_edge and choice.trial is not None]
    if edge:
        said.append(f"the best rate of {', '.join(edge)} is still on the edge of what was tried")
    contains = {choice.optimizer: contained_in(choice.optimizer) for choice in chosen}
    lost: dict[str, list[str]] = {}
    for loser in under_tuned(store, race, problem, contains):
        lost.setdefault(loser.contained, []).append(loser.optimizer)
    said += [
        f"{_list(losers)} lost to {contained}, a special case of {'them' if len(losers) > 1 else 'it'}: under-tuned"
        for contained, losers in lost.items()
    ]
    for name in dict.fromkeys(choice.optimizer for choice in chosen):
        runs = store.runs(race, problem=problem.name, optimizer=name, role="final")
        for outcome in ("diverged", "failed"):
            count = sum(run.outcome == outcome for run in runs)
            if count:
                said.append(f"{name} {outcome} on {count} of {len(runs)} fresh seeds")
    return [Finding(problem.kind, problem.name, f"{problem.name}: {text}", "warning") for text in said]


def _all_or(leaders: Sequence[Standing], placed: Sequence[Standing]) -> str:
    return f"all {len(placed)} optimizers" if len(leaders) == len(placed) > 2 else _join(leaders)


def _join(standings: Sequence[Standing]) -> str:
    return _list([standing.name for standing in standings])


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _print(found: Interval) -> str:
    return f"{found.value:.3g} [{found.low:.3g}, {found.high:.3g}]"
