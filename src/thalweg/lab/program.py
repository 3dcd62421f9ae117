"""What a race is made of, once every name in it is found: its contests, its settings, its problems."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

from thalweg.errors import RaceError
from thalweg.lab import contenders
from thalweg.lab.contest import Contest
from thalweg.lab.descend import BOUND
from thalweg.lab.entries import SurfaceReference, TrainingReference, problem_of, resolve, surface_of
from thalweg.lab.fit import check_fit
from thalweg.lab.records import ProblemRecord
from thalweg.lab.rows import plain
from thalweg.lab.scoring import CRITERIA, DIVERGED
from thalweg.lab.surface_runs import describe_surface
from thalweg.lab.tuning import EXTENSION
from thalweg.lab.user_problem import source_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.lab.contenders import Contender
    from thalweg.lab.entries import Reference
    from thalweg.lab.race import Race
    from thalweg.lab.records import Json, Kind

# Tuning seeds begin here, and the fresh ones at 0: no run is judged on a seed that its setting was chosen on.
FIRST_TUNING_SEED = 1_000


@dataclass(frozen=True)
class Protocol:
    """How many rates, seeds and steps a kind of problem gets; steps of None are the problem's own."""

    trials: int
    tuning_seeds: int
    seeds: int
    steps: int | None


PROTOCOLS: dict[Kind, Protocol] = {
    "surface": Protocol(trials=13, tuning_seeds=3, seeds=10, steps=1_000),
    "training": Protocol(trials=7, tuning_seeds=2, seeds=10, steps=None),
}


@dataclass(frozen=True)
class Program:
    """A race with everything found and checked. `settings` decides its records, versions apart."""

    contests: tuple[Contest, ...]
    problems: tuple[ProblemRecord, ...]
    settings: Mapping[str, Json]
    source: Mapping[str, Json] | None

    @property
    def key(self) -> str:
        """The settings in one word: equal for equal races."""
        canonical = json.dumps(plain(self.settings), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


def compile_race(race: Race) -> Program:
    """Find everything that a race names, and check that it can be run."""
    _check(race)
    references = resolve(race.problems, start=race.start)
    entrants = [contenders.get(text) for text in race.optimizers]
    for reference in references:
        for entrant in entrants:
            check_fit(entrant, reference)
    contests = tuple(_contest(race, reference, entrant) for reference in references for entrant in entrants)
    problems = tuple(_describe(reference, _protocol(race, reference)) for reference in references)
    files = dict.fromkeys(r.file for r in references if isinstance(r, TrainingReference) and r.file)
    sources = [cast("dict[str, Json]", source_of(file)) for file in files]
    return Program(contests, problems, _settings(race, contests, problems, sources), _join(sources))


def _check(race: Race) -> None:
    for name, value in (
        ("trials", race.trials),
        ("seeds", race.seeds),
        ("tuning_seeds", race.tuning_seeds),
        ("steps", race.steps),
    ):
        if value is not None and value < 1:
            raise RaceError(f"a race needs at least 1 of {name}, not {value}")
    if race.seeds is not None and race.seeds > FIRST_TUNING_SEED:
        raise RaceError(f"a race has at most {FIRST_TUNING_SEED} seeds, not {race.seeds}; those above are for tuning")
    for kind, names in (("problem", race.problems), ("optimizer", race.optimizers)):
        if not names:
            raise RaceError(f"a race needs at least one {kind}")
        for name in names:
            if names.count(name) > 1:
                raise RaceError(f"the {kind} `{name}` is named twice; name each {kind} once")


def _protocol(race: Race, reference: Reference) -> Protocol:
    usual = PROTOCOLS[_kind(reference)]
    return Protocol(
        trials=race.trials or usual.trials,
        tuning_seeds=race.tuning_seeds or usual.tuning_seeds,
        seeds=race.seeds or usual.seeds,
        steps=race.steps or usual.steps,
    )


def _contest(race: Race, reference: Reference, entrant: Contender) -> Contest:
    protocol = _protocol(race, reference)
    bounds = None if isinstance(reference, SurfaceReference) else problem_of(reference).rates.get(entrant.name)
    return Contest(
        problem=reference,
        contender=entrant,
        grid=entrant.grid(trials=protocol.trials, bounds=bounds),
        tuning_seeds=tuple(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + protocol.tuning_seeds)),
        seeds=tuple(range(protocol.seeds)),
        steps=_steps(reference, protocol),
    )


def _steps(reference: Reference, protocol: Protocol) -> int:
    if protocol.steps is not None:
        return protocol.steps
    assert isinstance(reference, TrainingReference)  # noqa: S101 (surfaces' protocol has its steps)
    return problem_of(reference).steps


def _describe(reference: Reference, protocol: Protocol) -> ProblemRecord:
    steps = _steps(reference, protocol)
    if isinstance(reference, SurfaceReference):
        title, spec = surface_of(reference).title, describe_surface(reference, steps=steps)
    else:
        problem = problem_of(reference)
        title, spec = problem.title, cast("dict[str, Json]", problem.spec()) | {"steps": steps}
    return ProblemRecord(name=reference.name, kind=_kind(reference), title=title, spec=spec)


def _settings(
    race: Race,
    contests: Sequence[Contest],
    problems: Sequence[ProblemRecord],
    sources: Sequence[Mapping[str, Json]],
) -> dict[str, Json]:
    entrants = {contest.contender.name: contest.contender for contest in contests}
    grids: dict[str, dict[str, Json]] = {problem.name: {} for problem in problems}
    seeds: dict[str, Json] = {}
    for contest in contests:
        grids[contest.problem.name][contest.contender.name] = list(contest.grid.rates())
        seeds[contest.problem.name] = {"tuning": list(contest.tuning_seeds), "final": list(contest.seeds)}
    kinds: dict[Kind, None] = dict.fromkeys(problem.kind for problem in problems)
    return {
        "problems": [problem.name for problem in problems],
        "optimizers": list(entrants),
        "chains": {name: repr(entrant.build(entrant.default)) for name, entrant in entrants.items()},
        "tuned": {name: entrant.tuned for name, entrant in entrants.items()},
        "trials": {kind: race.trials or PROTOCOLS[kind].trials for kind in kinds},
        "grids": grids,
        "extension": asdict(EXTENSION),
        "criterion": {kind: CRITERIA[kind] for kind in kinds},
        "seeds": seeds,
        "steps": {contest.problem.name: contest.steps for contest in contests},
        "diverged": {
            kind: f"not finite, or a coordinate beyond ±{BOUND:g}"
            if kind == "surface"
            else f"not finite, or a minibatch loss above {DIVERGED:g} times the first"
            for kind in kinds
        },
        "specs": {problem.name: problem.spec for problem in problems},
        "files": [str(source["sha256"]) for source in sources],
    }


def _kind(reference: Reference) -> Kind:
    return "surface" if isinstance(reference, SurfaceReference) else "training"


def _join(sources: Sequence[Mapping[str, Json]]) -> Mapping[str, Json] | None:
    """One file's state as it is; of several, all by their names."""
    if len(sources) > 1:
        return {str(source["file"]): source for source in sources}
    return sources[0] if sources else None
