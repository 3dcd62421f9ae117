"""The tables under a problem: the ranking, and what was tuned."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thalweg.lab.scoring import TARGET_GAP
from thalweg.lab.spending import FUNCTION, PRODUCT
from thalweg.lab.statistics import interval
from thalweg.report.looks import title_of
from thalweg.report.numbers import data_size, duration, interval_of, number, percent, settings
from thalweg.report.results import measure_name
from thalweg.report.table import Cell, Row, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thalweg.report.results import Results
    from thalweg.report.standings import Place, Standings

# What a run's record counts, and what a reader calls it.
COUNTS = {"nfev": "f", "njev": "∇f", "nhvp": "Hv"}
# On a surface, and in training: the measures at the end that have a column of their own.
SURFACE_MEASURES = ("gap",)
HIDDEN = frozenset({"mean_log_gap", "steps_to_target", "spent", "steps", "nfev", "njev", "nhvp"})


def ranking_table(results: Results, standings: Standings) -> Table | None:
    """The places, with every measure over the fresh seeds and the way to the target."""
    if not standings.places:
        return None
    training = results.problem.kind == "training"
    measures = _training_measures(results, standings) if training else SURFACE_MEASURES
    heads = ["place", "optimizer"]
    heads += [measure_name(results.judged), "behind"] if training else ["mean log₁₀ gap", "behind"]
    heads += [_head(measure, training=training) for measure in measures]
    counted = results.unit != "steps"
    heads += [f"{_arrived(results.unit)} to target", *(["spent"] if counted else [])]
    heads += ["time of a run"] if training else []
    return Table(
        caption="Ranking",
        heads=(*heads, "diverged"),
        rows=tuple(_ranking_row(place, measures, training=training, counted=counted) for place in standings.places),
        note=_ranking_note(results, standings),
    )


def tuning_table(results: Results) -> Table | None:
    """Per optimizer: over which rates it was tuned, which was chosen and why, and what became of it on fresh seeds."""
    rows = tuple(row for name in results.optimizers if (row := _tuning_row(results, name)) is not None)
    if not rows:
        return None
    training = results.problem.kind == "training"
    no_validation = (
        " It is the final test loss, by which the ranking goes too: nothing is held back for tuning, so all look a "
        "little better than on data that nobody has seen."
    )
    return Table(
        caption="Tuning",
        heads=("optimizer", "rates tried", "diverged", "chosen", "on the edge", "score", "fresh score", "gap", "why"),
        rows=rows,
        note="The score is what the tuning chose by, smaller is better: over the tuning seeds, and beside it over the "
        "fresh ones. A gap far above zero says that the tuning was lucky; a choice on the edge, that the grid was "
        f"too narrow.{no_validation if training and results.judged == 'test_loss' else ''}",
    )


def _ranking_row(place: Place, measures: Sequence[str], *, training: bool, counted: bool) -> Row:
    tuned = settings(place.runs[0].tuned) if place.runs else "no setting survived"
    cells = [
        Cell(place.label, classes="left rank"),
        Cell(title_of(place.optimizer), tuned, "left name"),
        Cell(*interval_of(place.standing.score)),
        Cell("–") if place.leads else Cell(*interval_of(place.standing.behind, digits=3)),
    ]
    cells += [_measured(place, measure, training=training) for measure in measures]
    cells.append(_arrival(place, timed=training))
    if counted:
        cells.append(_spent(place))
    if training:
        cells.append(Cell(duration(interval([run.seconds for run in place.runs]).value) if place.runs else "–"))
    cells.append(
        Cell(f"{place.lost} of {len(place.runs)}", classes="bad") if place.lost else Cell("0" if place.runs else "all")
    )
    return Row(cells=tuple(cells), optimizer=place.optimizer, classes="tied" if place.standing.tied else "")


def _measured(place: Place, measure: str, *, training: bool) -> Cell:
    values = place.finals(measure)
    if not values or any(map(math.isinf, values)):
        return Cell("–")
    found = interval(values, statistic="mean" if training else "median")
    if measure == "accuracy":
        return Cell(percent(found.value), f"[{100 * found.low:.2f}, {100 * found.high:.2f}]")
    if measure == "state_bytes":
        return Cell(data_size(found.value))
    return Cell(*interval_of(found))


def _arrival(place: Place, *, timed: bool) -> Cell:
    """The median steps to the target, the time that they took, and on how many seeds it was reached if not on all."""
    if not place.steps:
        return Cell("–")
    reached = sum(map(math.isfinite, place.steps))
    steps, seconds = (interval(when, statistic="median").value for when in (place.steps, place.seconds))
    says = [duration(seconds)] if timed and math.isfinite(seconds) else []
    if reached < len(place.steps):
        says.append(f"{reached} of {len(place.steps)} seeds")
    if math.isinf(steps):
        return Cell("not reached", ", ".join(says) if reached else "", "bad")
    return Cell(f"{steps:,.0f}", ", ".join(says))


def _arrived(unit: str) -> str:
    return "steps" if unit == "steps" else "evaluations"


def _spent(place: Place) -> Cell:
    """What a run spent, the median in gradient evaluations; where that is not one a step, on what."""
    if not place.runs:
        return Cell("–")
    middle = {name: interval([run.final.get(name, 0.0) for run in place.runs], statistic="median") for name in COUNTS}
    says = ", ".join(f"{middle[name].value:,.0f} {word}" for name, word in COUNTS.items() if middle[name].value)
    return Cell(f"{interval([run.cost for run in place.runs], statistic='median').value:,.0f}", says)


def _ranking_note(results: Results, standings: Standings) -> str:
    training = results.problem.kind == "training"
    by = (
        f"mean {measure_name(results.judged)} at the end"
        if training
        else f"mean log₁₀ of the gap to the lowest minimum over all {results.unit}, "
        "which is small for whoever is soon low"
    )
    seeds = f"{standings.seeds} fresh seed{'' if standings.seeds == 1 else 's'}"
    says = [
        f"Placed by the {by}, over {seeds}, with 95 % bootstrap intervals; smaller is better.",
        "A place with = is shared: nobody in it is shown to be worse than its first, by a paired test at 5 %.",
    ]
    if training:
        says.append("Behind: by which fraction the loss is larger than the first's.")
    if not training:
        says.append(
            f"Target: a gap of {TARGET_GAP:g}; gaps below count as that. Gap and {_arrived(results.unit)} are medians "
            "over the seeds."
        )
    elif standings.target is None:
        says.append("There is no target, since a baseline diverged or learnt nothing.")
    else:
        given = results.problem.spec.get("target") is not None
        whose = "which the problem names" if given else "to which every seed of the tuned baselines came down"
        says.append(f"Target: a {measure_name(results.judged)} of {number(standings.target)}, {whose}.")
        says.append(f"{_arrived(results.unit).capitalize()} and times are medians over the seeds.")
    if results.unit != "steps":
        says.append(
            f"The budget is counted in gradient evaluations: a function value alone (f) is {FUNCTION:g}, the gradient "
            f"there (∇f) {1 - FUNCTION:g} more, a product with the Hessian (Hv) {PRODUCT:g}. What a method that ends "
            "early does not spend, it leaves."
        )
    placed = {place.optimizer for place in standings.places}
    left_out = [title_of(name) for name in results.optimizers if name not in placed]
    if left_out:
        says.append(f"Not yet placed: {', '.join(left_out)}.")
    return " ".join(says)


def _tuning_row(results: Results, name: str) -> Row | None:
    choice = results.choices.get(name)
    trials = results.of("tuning", name)
    if choice is None and not trials:
        return None
    rates = sorted({value for run in trials for value in run.tuned.values()})
    lost = sum(run.outcome != "finished" for run in trials)
    cells = [
        Cell(title_of(name), classes="left name"),
        Cell(str(len(rates)) if rates else "1"),
        Cell(f"{lost} of {len(trials)}" if lost else "0", classes="bad" if lost else ""),
    ]
    if choice is None:
        return Row(cells=(*cells, Cell("not yet"), *[Cell("–")] * 4, Cell("", classes="text")), optimizer=name)
    both_finite = choice.final_score is not None and math.isfinite(choice.score) and math.isfinite(choice.final_score)
    gap = choice.final_score - choice.score if both_finite and choice.final_score is not None else None
    chosen = "none" if choice.trial is None else settings(choice.tuned)
    cells += [
        Cell(chosen, classes="bad" if choice.trial is None else ""),
        Cell("yes", classes="bad") if choice.on_edge else Cell("no"),
        Cell(number(choice.score)),
        Cell(number(choice.final_score)),
        Cell(number(gap, digits=3)),
        Cell(choice.why, classes="text"),
    ]
    return Row(cells=tuple(cells), optimizer=name)


def _training_measures(results: Results, standings: Standings) -> tuple[str, ...]:
    """What the runs end with besides the test loss, in the order of their recording."""
    names = dict.fromkeys(name for place in standings.places for run in place.runs for name in run.final)
    known = {*HIDDEN, results.judged, *(["loss"] if results.judged == "train_loss" else [])}
    return tuple(name for name in names if name not in known)


def _head(measure: str, *, training: bool) -> str:
    if training:
        return {"state_bytes": "state"}.get(measure, measure_name(measure))
    return f"{measure} at the end"
