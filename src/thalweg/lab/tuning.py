"""Which rate is chosen, and when the search must go on beyond its grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.lab.records import ChoiceRecord
from thalweg.lab.scoring import WORST, Score

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.lab.contenders import Contender
    from thalweg.lab.grid import Grid


@dataclass(frozen=True)
class Extension:
    """How a search goes on where its best lies on the edge: so many trials at a time, so many in all."""

    trials: int = 2
    limit: int = 6


EXTENSION = Extension()


def best_trial(scores: Mapping[int, Score]) -> int | None:
    """The trial with the smallest score; between equals the smallest rate; None if every trial diverged.

    >>> best_trial({0: Score(0.5, 0.0), 1: Score(0.2, 0.0), 2: Score(0.2, 0.0)})
    1
    """
    best = min(scores, key=lambda trial: (scores[trial], trial))
    return None if scores[best].value == WORST.value else best


def more_trials(scores: Mapping[int, Score], grid: Grid, extension: Extension) -> tuple[int, ...]:
    """The trials to add: beyond the edge that the best lies on, or below all if every trial diverged."""
    edge = _edge(scores)
    room = min(extension.trials, grid.trials + extension.limit - len(scores))
    if edge is None or grid.trials == 1 or room <= 0:
        return ()
    return tuple(range(edge - room, edge)) if edge == min(scores) else tuple(range(edge + 1, edge + room + 1))


def choose(
    problem: str, contender: Contender, grid: Grid, scores: Mapping[int, Score], *, final_score: float | None
) -> ChoiceRecord:
    """The record of what tuning chose, and why."""
    best = best_trial(scores) if contender.tuned else 0
    extra = len(scores) - grid.trials
    below, above = max(0, -min(scores)), max(0, max(scores) - grid.trials + 1)
    return ChoiceRecord(
        problem=problem,
        optimizer=contender.name,
        trial=best,
        tuned={} if best is None else contender.settings(grid.rate(best)),
        score=(WORST if best is None else scores[best]).value,
        final_score=final_score,
        on_edge=grid.trials > 1 and _edge(scores) is not None,
        trials=len(scores),
        extensions=extra,
        why=_explain(contender, grid, scores, below=below, above=above),
    )


def _edge(scores: Mapping[int, Score]) -> int | None:
    best = best_trial(scores)
    if best is None:
        return min(scores)
    return best if best in {min(scores), max(scores)} else None


def _explain(contender: Contender, grid: Grid, scores: Mapping[int, Score], *, below: int, above: int) -> str:
    if contender.tuned is None:
        return f"nothing to tune: the {contender.kind} is run as typed"
    tried = f"{len(scores)} rates from {grid.rate(min(scores)):g} to {grid.rate(max(scores)):g}"
    sides = [f"{count} {side}" for count, side in ((below, "below"), (above, "above")) if count]
    if sides:
        tried += f", {' and '.join(sides)} the first grid because the best lay on its edge"
    best = best_trial(scores)
    if best is None:
        return f"every one of {tried} diverged"
    lost = sum(score.value == WORST.value for score in scores.values())
    outcome = f"the best of {tried}" + (f"; {lost} diverged" if lost else "")
    equals = sum(score == scores[best] for score in scores.values()) - 1
    if equals:
        outcome += f"; the smallest of {equals + 1} equals"
    if _edge(scores) is not None and grid.trials > 1:
        outcome += "; still on the edge, a better one may lie beyond"
    return outcome
