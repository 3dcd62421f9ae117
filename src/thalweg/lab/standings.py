"""Who stands where on one problem of a race: by the final runs, on the seeds that all of them ran."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thalweg.lab.scoring import TARGET_GAP
from thalweg.lab.statistics import Standing, derive_target, first_reached, rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.lab.records import Kind, ProblemRecord, RaceRecord, RunRecord
    from thalweg.lab.statistics.ranking import Comparison
    from thalweg.lab.store import Store

# What places are given by: on a surface both how low a method gets and how soon, in training how low it ends.
MEASURES: dict[Kind, str] = {"surface": "mean_log_gap", "training": "test_loss"}


@dataclass(frozen=True)
class Arrival:
    """When one optimizer's final runs reached the target, one number a seed; infinity where they did not.

    Steps are counted in what they spend. On a surface, where runs are stepped together, the seconds are each
    one's share of the time.
    """

    steps: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class UnderTuned:
    """A method that lost to one that it contains: its extra hyper-parameters were not tuned well enough."""

    problem: str
    optimizer: str
    contained: str
    behind: float


def measure_of(problem: ProblemRecord) -> str:
    """What places are given by on a problem; in full batch, it is the training loss."""
    return str(problem.spec.get("judged_by", MEASURES[problem.kind]))


def final_values(store: Store, race: RaceRecord, problem: ProblemRecord, measure: str) -> dict[str, list[float]]:
    """A measure at the end of the final runs, by optimizer, on the seeds that all of them ran.

    A run that diverged or failed is infinity, and so is every seed of an optimizer that diverged at each
    rate tried.
    """
    finals = _finals(store, race, problem)
    seeds = _common_seeds(finals)
    values = {name: [_value(runs[seed], measure) for seed in seeds] for name, runs in finals.items()}
    for choice in store.choices(race, problem=problem.name):
        if choice.trial is None:
            values[choice.optimizer] = [np.inf] * len(seeds)
    return {name: sample for name, sample in values.items() if sample}


def standings(store: Store, race: RaceRecord, problem: ProblemRecord) -> tuple[Standing, ...]:
    """Every optimizer's place on one problem, ties included."""
    return rank(final_values(store, race, problem, measure_of(problem)), by=_comparison(problem))


def target_of(store: Store, race: RaceRecord, problem: ProblemRecord) -> float | None:
    """The loss, or on a surface the gap, that counts as having arrived; None if there is no such thing.

    It is the problem's own; or else what the tuned baselines came down to, unless that is what all start
    from.
    """
    if problem.kind == "surface":
        return TARGET_GAP
    given = problem.spec.get("target")
    if isinstance(given, int | float):
        return float(given)
    measure = measure_of(problem)
    target = derive_target(final_values(store, race, problem, measure))
    finals = [run for runs in _finals(store, race, problem).values() for run in runs.values()]
    met_at_once = any(run.curve[measure][:1] <= target for run in finals) if target is not None else True
    return None if met_at_once else target


def arrivals(store: Store, race: RaceRecord, problem: ProblemRecord) -> dict[str, Arrival]:
    """When each optimizer reached the problem's target; nothing if it has none."""
    target = target_of(store, race, problem)
    if target is None:
        return {}
    finals = _finals(store, race, problem)
    seeds = _common_seeds(finals)
    found: dict[str, Arrival] = {}
    for name, runs in finals.items():
        chosen = [runs[seed] for seed in seeds]
        found[name] = Arrival(
            steps=tuple(_reached(run, target, "spent", measure_of(problem)) for run in chosen),
            seconds=tuple(_reached(run, target, "seconds", measure_of(problem)) for run in chosen),
        )
    return found


def under_tuned(
    store: Store, race: RaceRecord, problem: ProblemRecord, contains: Mapping[str, Sequence[str]]
) -> tuple[UnderTuned, ...]:
    """The methods that are worse than one they contain, beyond what chance explains.

    A method that contains another cannot be worse than it when both are tuned to the end.
    """
    values = final_values(store, race, problem, measure_of(problem))
    found: list[UnderTuned] = []
    for name, contained in contains.items():
        for other in contained:
            if name in values and other in values:
                pair = {name: values[name], other: values[other]}
                last = rank(pair, by=_comparison(problem))[-1]
                if last.name == name and last.place == 2:
                    found.append(UnderTuned(problem.name, name, other, last.behind.value))
    return tuple(found)


def _comparison(problem: ProblemRecord) -> Comparison:
    return "ratios" if problem.kind == "training" else "differences"  # a surface's measure is a logarithm already


def _finals(store: Store, race: RaceRecord, problem: ProblemRecord) -> dict[str, dict[int, RunRecord]]:
    found: dict[str, dict[int, RunRecord]] = defaultdict(dict)
    for run in store.runs(race, problem=problem.name, role="final"):
        found[run.optimizer][run.seed] = run
    return dict(found)


def _common_seeds(finals: Mapping[str, Mapping[int, RunRecord]]) -> list[int]:
    return sorted(set.intersection(*map(set, finals.values()))) if finals else []


def _value(run: RunRecord, measure: str) -> float:
    return run.final.get(measure, np.inf) if run.outcome == "finished" else np.inf


def _reached(run: RunRecord, target: float, axis: str, measure: str) -> float:
    if "steps_to_target" in run.final:
        steps = run.final["steps_to_target"]
        return steps if axis == "spent" else steps / max(run.cost, 1.0) * run.seconds
    at = run.spent if axis == "spent" else run.curve[axis]
    return first_reached(run.curve[measure], target, at=at)
