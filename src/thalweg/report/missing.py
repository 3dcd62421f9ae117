"""What a race that is not finished still lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.report.looks import title_of

if TYPE_CHECKING:
    from thalweg.lab.records import RaceRecord
    from thalweg.report.results import Results


def what_is_missing(race: RaceRecord, results: tuple[Results, ...]) -> tuple[str, ...]:
    """One line for each problem that lacks something; nothing if the race is finished."""
    if race.finished is not None:
        return ()
    lines = [
        f"{part.problem.title} ({part.problem.name}): {gap}"
        for part in results
        if (gap := _gap(part, seeds_asked(race, part)))
    ]
    return tuple(lines) or ("Every run has ended, but the race did not come to write so.",)


def seeds_asked(race: RaceRecord, part: Results) -> int:
    """How many fresh seeds each optimizer is to run on a problem: as recorded, or else the most that any has run."""
    match race.settings.get("seeds"):
        case {part.problem.name: {"final": list(seeds)}}:
            return len(seeds)
        case _:
            return max((len(part.of("final", name)) for name in part.optimizers), default=0)


def _gap(part: Results, seeds: int) -> str:
    if not part.runs:
        return "not begun"
    untuned: list[str] = []
    unrun: list[str] = []
    for name in part.optimizers:
        ran = len(part.of("final", name))
        choice = part.choices.get(name)
        if choice is None:
            untuned.append(f"{title_of(name)} ({len(part.of('tuning', name))} trials run)")
        elif choice.trial is not None and ran < seeds:
            unrun.append(f"{title_of(name)} ({ran} of {seeds})")
    gaps = [f"not yet tuned: {', '.join(untuned)}"] * bool(untuned) + [
        f"fresh seeds still to run: {', '.join(unrun)}"
    ] * bool(unrun)
    return "; ".join(gaps)
