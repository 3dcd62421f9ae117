"""The pages of the reference that are written from the code: the rules, the surfaces, the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from thalweg import rules, surfaces
from thalweg.chain import chain, matrix_methods, step
from thalweg.cli import translation_table
from thalweg.cli.app import app as program
from thalweg.cli.matrix_facts import states_of, taken_by
from thalweg.kernels import plan
from thalweg.kernels.notation import draw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sphinx.application import Sphinx

    from thalweg.chain import Whole
    from thalweg.formula import Hyperparameter, Rule, Stage
    from thalweg.matrix import MatrixRule
    from thalweg.surfaces import Surface


def write_pages(app: Sphinx) -> None:
    """Write each page that has changed into `reference/generated`."""
    folder = Path(app.srcdir) / "reference" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        "rules": rules_page(),
        "matrix-methods": matrix_page(),
        "surfaces": surfaces_page(),
        "command-line": command_line_page(),
    }
    for name, lines in pages.items():
        page, text = folder / f"{name}.md", "\n".join(lines) + "\n"
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def rules_page() -> Iterator[str]:
    """Every rule: its formula as traced, its source, its hyper-parameters and where each default is from."""
    yield "# Rules\n"
    yield "Each formula is drawn from the code that runs, with the options at their defaults: $g$ is the gradient,"
    yield "$p$ the parameter, $\\alpha$ the learning rate, and $t$ counts the steps from 1.\n"
    for rule in rules.catalogue().values():
        yield from _rule(rule)


def _rule(rule: Rule) -> Iterator[str]:
    yield f"## {rule.title}\n"
    yield f"`{rule.name}`. {rule.doc}\n"
    typed = chain(rule()) if rule.learning_rate is None else chain(rule(), step(rule.learning_rate))
    traced = typed.trace(with_names=True)
    lines = [line.latex.replace("\\leftarrow", "&\\leftarrow", 1) for line in draw(traced)]
    yield "$$\n\\begin{split}\n" + " \\\\\n".join(lines) + "\n\\end{split}\n$$\n"
    yield f"**Typed.** `{typed}`\n"
    yield f"**Source.** {rule.source}\n"
    for label, note in (("Dialects", "dialect"), ("When to use it", "when")):
        if note in rule.notes:
            yield f"**{label}.** {rule.notes[note]}\n"
    planned = plan(traced)
    states = ", ".join(f"`{kept.name}`" for kept in planned.states) or "none"
    moved = planned.bytes_per_parameter()
    yield f"**State.** {states}. A step moves {moved} bytes per parameter in float32.\n"
    if rule.hyperparameters:
        yield from _hyperparameters(rule)
    yield from _translations(rule())


def _hyperparameters(rule: Rule | MatrixRule) -> Iterator[str]:
    rows = [
        (f"`{name}`", f"`{hyper.default!r}`", _range(hyper), rule.notes.get(name, ""))
        for name, hyper in rule.hyperparameters.items()
    ]
    yield from _table(("hyper-parameter", "default", "may be", "where the default is from"), rows)


def matrix_page() -> Iterator[str]:
    """Every method that sees a weight as a matrix: its lines, its source, its hyper-parameters."""
    yield "# Matrix methods\n"
    yield "Line by line, in the letters of each source: $G$ is the gradient of a weight as a matrix, $D$ the direction"
    yield "that the method makes; the step is $p \\leftarrow p - \\alpha D$, unless more stages follow.\n"
    for method in matrix_methods().values():
        rule = method.rule
        yield f"## {rule.title}\n"
        yield f"`{rule.name}`. {rule.doc}\n"
        yield "```{code-block} text\n" + "\n".join(rule.algorithm) + "\n```\n"
        yield f"**Takes** {taken_by(method())}.\n"
        yield f"**Source.** {rule.source}\n"
        for label, note in (("Dialects", "dialect"), ("When to use it", "when")):
            yield f"**{label}.** {rule.notes[note]}\n"
        yield f"**State** {states_of(method())}.\n"
        yield from _hyperparameters(rule)
        if rule.translations:
            yield from _translations(method())


def _translations(stage: Stage | Whole) -> Iterator[str]:
    """What the settings are called in torch, in Keras and in the paper; or that neither has the rule."""
    columns = translation_table.in_columns(stage)
    if columns:
        yield "**Elsewhere.** In the words of other libraries and of the paper:\n"
        yield from _table(
            ("ours", *(f"`{column.name}`" if column.library != "paper" else column.name for column in columns)),
            [
                tuple(f"`{cell}`" if cell and cell != "where" else cell for cell in row)
                for row in translation_table.rows(stage, columns)
            ],
        )
    absent = translation_table.absence(stage)
    notes = [*translation_table.remarks(columns), *([absent] if absent else [])]
    yield from ("- " + note.replace("*", "\\*") for note in (*notes, *translation_table.others(stage, columns)))
    yield ""


def _range(hyper: Hyperparameter) -> str:
    return ", ".join(f"`{choice!r}`" for choice in hyper.choices) if hyper.is_option else f"{hyper.range}"


def surfaces_page() -> Iterator[str]:
    """Every surface: its formula, its critical points, where it is from and what to watch for."""
    yield "# Surfaces\n"
    yield "The eigenvalues are those of the Hessian there, computed while this page was built.\n"
    for surface in surfaces.catalogue().values():
        yield from _surface(surface)


def _surface(surface: Surface) -> Iterator[str]:
    yield f"## {surface.title}\n"
    yield f"`{surface.name}`. {surface.remark}\n"
    yield f"$$\n{surface.formula}\n$$\n"
    yield f"**Source.** {surface.source}\n"
    starts = ", ".join(f"({', '.join(f'{x:g}' for x in start)})" for start in surface.starts)
    yield f"**Starts.** {starts}\n"
    kinds = (("minimum", surface.minima), ("saddle", surface.saddles), ("maximum", surface.maxima))
    rows = []
    for kind, points in kinds:
        for point in points:
            where = ", ".join(f"{x:.6g}" for x in point.x)
            eigenvalues = ", ".join(f"{value:.6g}" for value in surface.curvature_at(point.x).eigenvalues)
            name = f"global {kind}" if kind == "minimum" and point.is_global else kind
            rows.append((name, f"({where})", f"{point.value:.8g}", eigenvalues))
    yield from _table(("", "where", "value", "eigenvalues"), rows)


def command_line_page() -> Iterator[str]:
    """Every command, as `--help` prints it."""
    yield "# Command line\n"
    yield "```{code-block} text\n" + _help() + "\n```\n"
    for command in program.registered_commands:
        yield f"## thalweg {command.name}\n"
        yield "```{code-block} text\n" + _help(command.name or "") + "\n```\n"


def _help(*command: str) -> str:
    settings = {"COLUMNS": "96", "TERMINAL_WIDTH": "96", "NO_COLOR": "1", "TERM": "dumb"}
    text = CliRunner().invoke(program, [*command, "--help"], env=settings, prog_name="thalweg").output
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
    yield ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", write_pages, priority=100)  # before autosummary looks for pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}
