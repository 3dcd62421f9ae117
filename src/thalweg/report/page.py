"""How a race becomes one HTML file that opens without network."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from thalweg.lab.findings import findings
from thalweg.report.conditions import budget_table, chain_table, count_table, facts_in, failures, when_of
from thalweg.report.figure import script_json
from thalweg.report.formula import mathml
from thalweg.report.looks import PAPER, THEMES, looks_for
from thalweg.report.missing import what_is_missing
from thalweg.report.results import read_results
from thalweg.report.sections import section_of

if TYPE_CHECKING:
    from thalweg.lab.findings import Finding, Tone
    from thalweg.lab.records import RaceRecord
    from thalweg.lab.store import Store
    from thalweg.report.conditions import Fact
    from thalweg.report.looks import Look
    from thalweg.report.results import Results
    from thalweg.report.sections import Section
    from thalweg.report.table import Table


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything the page says, before it is set."""

    title: str
    when: str
    command: str
    missing: tuple[str, ...]
    findings: tuple[str, ...]
    warnings: int
    surfaces: tuple[Section, ...]
    training: tuple[Section, ...]
    counts: Table
    failures: tuple[str, ...]
    tables: tuple[Table, ...]
    settings: tuple[Fact, ...]
    source: tuple[Fact, ...]
    machine: tuple[Fact, ...]
    looks: dict[str, Look]

    @property
    def order(self) -> dict[str, int]:
        """The number that each optimizer's colour has in the style sheet."""
        return {name: index for index, name in enumerate(self.looks)}


def page_of(store: Store, race: RaceRecord) -> Page:
    """What the page says about one race."""
    results = read_results(store, race)
    found = findings(store, race)
    sections = {
        part.problem.name: section_of(store, race, part, warnings=_texts(found, "warning", part)) for part in results
    }
    kinds = {
        kind: tuple(sections[p.problem.name] for p in results if p.problem.kind == kind)
        for kind in ("surface", "training")
    }
    return Page(
        title=_title(results),
        when=when_of(race),
        command=race.command,
        missing=what_is_missing(race, results),
        findings=tuple(line for part in results for line in _texts(found, "result", part)),
        warnings=sum(len(section.warnings) for section in sections.values()),
        surfaces=kinds["surface"],
        training=kinds["training"],
        counts=count_table(results),
        failures=failures(results),
        tables=tuple(table for table in (budget_table(race, results), chain_table(race)) if table.rows),
        settings=facts_in({key: race.settings.get(key) for key in ("criterion", "diverged", "extension", "threads")}),
        source=facts_in(race.source),
        machine=(*facts_in(race.machine), *facts_in(race.versions)),
        looks=looks_for(name for part in results for name in part.optimizers),
    )


def set_page(page: Page) -> str:
    """The page as HTML: style, script, data and Plotly inside."""
    environment = Environment(
        loader=PackageLoader("thalweg.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["mathml"] = mathml
    themes = {
        theme: {**PAPER[theme], **{name: look.colour(theme) for name, look in page.looks.items()}} for theme in THEMES
    }
    return environment.get_template("page.html.j2").render(
        page=page,
        css=_asset("page.css"),
        script=_asset("page.js"),
        plotly=get_plotlyjs(),
        themes=script_json(themes),
    )


def _texts(found: tuple[Finding, ...], tone: Tone, part: Results) -> tuple[str, ...]:
    prefix = f"{part.problem.name}: " if tone == "warning" else ""
    return tuple(
        finding.text.removeprefix(prefix)
        for finding in found
        if finding.tone == tone and finding.problem == part.problem.name
    )


def _asset(name: str) -> str:
    return files("thalweg.report").joinpath("assets", name).read_text("utf-8")


def _title(results: tuple[Results, ...]) -> str:
    optimizers = {name for part in results for name in part.optimizers}
    counts = [
        _count(sum(part.problem.kind == "surface" for part in results), "surface"),
        _count(sum(part.problem.kind == "training" for part in results), "training problem"),
    ]
    return f"{_count(len(optimizers), 'optimizer')} on {' and '.join(filter(None, counts)) or 'nothing yet'}"


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}" if count else ""
