"""Who came where on one problem, with the runs that each place rests on and how soon they reached the target."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.lab import standings as lab

if TYPE_CHECKING:
    from thalweg.lab.records import RaceRecord, RunRecord
    from thalweg.lab.statistics import Standing
    from thalweg.lab.store import Store
    from thalweg.report.results import Results


@dataclass(frozen=True, kw_only=True)
class Place:
    """One optimizer's place and its runs, one a seed; `steps` and `seconds` to the target, infinite if not reached."""

    standing: Standing
    runs: tuple[RunRecord, ...]
    steps: tuple[float, ...]
    seconds: tuple[float, ...]

    @property
    def optimizer(self) -> str:
        """Whose place it is."""
        return self.standing.name

    @property
    def label(self) -> str:
        """The place as it is printed: `1`, or `1=` where it is shared."""
        return f"{self.standing.place}{'=' if self.standing.tied else ''}"

    @property
    def leads(self) -> bool:
        """Whether the others of its place are measured against it."""
        return self.standing.behind.low == self.standing.behind.high == 0

    @property
    def lost(self) -> int:
        """How many of its runs diverged or failed."""
        return sum(run.outcome != "finished" for run in self.runs)

    def finals(self, measure: str) -> list[float]:
        """What the runs ended with; infinity where one diverged or failed."""
        return [final_of(run, measure) for run in self.runs]


@dataclass(frozen=True, kw_only=True)
class Standings:
    """All places on one problem, over the seeds that all of them ran, and the target that counts as having arrived."""

    places: tuple[Place, ...]
    seeds: int
    target: float | None


def standings_of(store: Store, race: RaceRecord, results: Results) -> Standings:
    """The places of all optimizers that have run on fresh seeds, and of those that diverged at every rate."""
    standings = lab.standings(store, race, results.problem)
    arrived = lab.arrivals(store, race, results.problem)
    places: list[Place] = []
    seeds = max((standing.score.n for standing in standings), default=0)
    common = _common_seeds(results)
    for standing in standings:
        runs = tuple(run for run in results.of("final", standing.name) if run.seed in common)
        arrival = arrived.get(standing.name)
        places.append(
            Place(
                standing=standing,
                runs=runs,
                steps=arrival.steps if arrival else (),
                seconds=arrival.seconds if arrival else (),
            )
        )
    return Standings(places=tuple(places), seeds=seeds, target=lab.target_of(store, race, results.problem))


def final_of(run: RunRecord, measure: str) -> float:
    """What a run ended with; infinity if it diverged or failed."""
    value = run.final.get(measure, math.inf) if run.outcome == "finished" else math.inf
    return math.inf if math.isnan(value) else float(value)


def _common_seeds(results: Results) -> set[int]:
    seeds = [{run.seed for run in runs} for name in results.optimizers if (runs := results.of("final", name))]
    return set.intersection(*seeds) if seeds else set()
