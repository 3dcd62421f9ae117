"""What the page shows of one problem: a legend, pictures, tables and facts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from thalweg.report.conditions import Fact, facts_in
from thalweg.report.curves import curve_figure
from thalweg.report.glyphs import dash_of, glyph_of
from thalweg.report.looks import looks_for, title_of
from thalweg.report.numbers import settings
from thalweg.report.paths import path_figure
from thalweg.report.results import measure_name, names_in
from thalweg.report.sensitivity import sensitivity_figure
from thalweg.report.standing_figure import standing_figure
from thalweg.report.standing_tables import ranking_table, tuning_table
from thalweg.report.standings import standings_of

if TYPE_CHECKING:
    from thalweg.lab.records import RaceRecord
    from thalweg.lab.store import Store
    from thalweg.report.figure import Figure
    from thalweg.report.results import Results
    from thalweg.report.table import Table

TOLD_APART = frozenset(
    {"title", "formula", "remark", "window", "minima", "saddles", "maxima", "surface", "metrics", "rates"}
)


@dataclass(frozen=True, kw_only=True)
class Key:
    """One entry of a legend: an optimizer with its setting, and how its trajectory ended if it diverged."""

    optimizer: str
    title: str
    setting: str
    ended: str
    outline: str
    is_open: bool
    dashes: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """Everything about one problem, in the order of the page."""

    anchor: str
    title: str
    name: str
    formula: str
    remark: str
    keys: tuple[Key, ...]
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    facts: tuple[Fact, ...]
    begun: bool
    warnings: tuple[str, ...]

    @property
    def link(self) -> str:
        """What a link to the section says: the title, with the start where the name has one."""
        start = self.name.partition(" (")[2]
        return f"{self.title} ({start}" if start and "(" not in self.title else self.title

    @property
    def by_optimizer(self) -> dict[str, Key]:
        """The legend's entries by optimizer."""
        return {key.optimizer: key for key in self.keys}


def section_of(store: Store, race: RaceRecord, results: Results, *, warnings: tuple[str, ...]) -> Section:
    """The section about one problem; of one that is not finished, what there is."""
    problem = results.problem
    standings = standings_of(store, race, results)
    judged = measure_name(results.judged) if problem.kind == "training" else "gap to the lowest minimum"
    rate = sensitivity_figure(results, caption=f"How much the rate matters: {judged} at the end")
    rank = standing_figure(results, standings)
    figures = _surface_figures(results) if problem.kind == "surface" else _training_figures(results)
    shown = [figure for figure in (*figures, rank, rate) if figure is not None]
    if len(shown) % 2:
        shown[-1] = replace(shown[-1], wide=True)
    tables = (ranking_table(results, standings), tuning_table(results))
    return Section(
        anchor=anchor_of(problem.name),
        title=problem.title,
        name=problem.name,
        formula=str(problem.spec.get("formula", "")),
        remark=str(problem.spec.get("remark", "")),
        keys=keys_of(results),
        figures=tuple(shown),
        tables=tuple(table for table in tables if table is not None),
        facts=facts_in(problem.spec, leave_out=TOLD_APART),
        begun=bool(results.runs),
        warnings=warnings,
    )


def anchor_of(name: str) -> str:
    """A problem's name as the target of a link.

    >>> anchor_of("beale (2, -2)")
    'beale-2-_2'
    """
    return re.sub(r"[^\w]+", "-", name.replace("-", "_")).strip("-")


def keys_of(results: Results) -> tuple[Key, ...]:
    """The legend: every optimizer with what was chosen for it."""
    looks = looks_for(results.optimizers)
    return tuple(
        Key(
            optimizer=name,
            title=title_of(name),
            setting=_setting(results, name),
            ended=_ending(results, name),
            outline=glyph_of(looks[name]).outline,
            is_open=looks[name].symbol.endswith("-open"),
            dashes=" ".join(f"{length:g}" for length in dash_of(looks[name])),
        )
        for name in results.optimizers
    )


def _setting(results: Results, name: str) -> str:
    choice = results.choices.get(name)
    if choice is not None:
        return "no setting survived" if choice.trial is None else settings(choice.tuned)
    runs = results.of("final", name)
    return settings(runs[0].tuned) if runs else "not yet tuned"


def _ending(results: Results, name: str) -> str:
    path = results.path(name)
    if path is None or path.outcome == "finished":
        return ""
    return f"{path.outcome} at step {int(path.curve['step'][-1]):,}"


def _surface_figures(results: Results) -> tuple[Figure | None, ...]:
    caption = "Height above the lowest point"
    return path_figure(results), curve_figure(results, "loss", caption=caption, statistic="median", log_steps=True)


def _training_figures(results: Results) -> tuple[Figure | None, ...]:
    recorded = dict.fromkeys(name for run in results.of("final") for name in run.curve)
    losses = (results.judged, "test_loss") if results.judged == "train_loss" else ("train_loss", "loss", "test_loss")
    first = [name for name in losses if name in recorded]
    rest = [name for name in names_in(results.problem.spec.get("metrics")) if name in recorded]
    return tuple(
        curve_figure(results, name, caption=measure_name(name).capitalize(), statistic="mean")
        for name in dict.fromkeys((*first, *rest))
    )
