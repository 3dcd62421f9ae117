"""How `thalweg explain` prints what a rule's settings are called in torch, in Keras and in its papers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from rich.table import Table
from rich.text import Text

from thalweg import rules
from thalweg.chain import Whole
from thalweg.cli.formula_lines import print_facts
from thalweg.formula.translation import RATE, STEP, names_in

if TYPE_CHECKING:
    from rich.console import Console

    from thalweg.chain import Chain
    from thalweg.formula import Stage
    from thalweg.formula.translation import Library, Translation

AnyStage: TypeAlias = "Stage | Whole"
LIBRARIES: tuple[Library, ...] = ("torch", "Keras", "paper")
_INDICES = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SIGNS = {"_plus": "⁺", "_minus": "⁻"}


def print_translations(console: Console, stage: AnyStage, typed: Chain) -> None:
    """A table with a column for torch, for Keras and for the paper; the other dialects; and the chain's own numbers."""
    columns = in_columns(stage)
    if columns or absence(stage):
        console.print("\n[bold]Elsewhere[/bold]")
    if columns:
        console.print(_table(stage, columns))
    for remark in (*remarks(columns), *filter(None, [absence(stage)])):
        console.print(Text(remark, style="dim"))
    for line in others(stage, columns):
        console.print(Text(line))
    if numbers := calls(typed):
        console.print()
        print_facts(console, numbers)


def _table(stage: AnyStage, columns: list[Translation]) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    table.add_column("ours", no_wrap=True)
    for translation in columns:
        table.add_column(_header(translation), overflow="fold")
    for row in rows(stage, columns):
        table.add_row(*row)
    return table


def in_columns(stage: AnyStage) -> list[Translation]:
    """One translation for each library and for the papers: that of the stage's own dialect, if there is one."""
    chosen: list[Translation] = []
    for library in LIBRARIES:
        mine = [translation for translation in stage.rule.translations if translation.library == library]
        chosen += [next((t for t in mine if t.holds(stage.values)), mine[0])] if mine else []
    return chosen


def rows(stage: AnyStage, columns: list[Translation]) -> list[tuple[str, ...]]:
    """Each of our settings with its name in every column, then what is set besides, and for which dialect."""
    spoken = {name for translation in columns for e in translation.arguments.values() for name in names_in(e)}
    ours = [name for name in (RATE, *stage.rule.hyperparameters) if name in spoken]
    found = [(name, *(_cell(name, translation) for translation in columns)) for name in ours]
    besides = [", ".join(f"{n} = {e}" for n, e in t.arguments.items() if not names_in(e)) for t in columns]
    where = list(map(_conditions, columns))
    return [*found, *([("", *besides)] if any(besides) else []), *([("where", *where)] if any(where) else [])]


def remarks(columns: list[Translation]) -> list[str]:
    """What is to be watched for in the table."""
    said = [f"{translation.name}: {remark}." for translation in columns for remark in translation.remarks]
    if any(translation.library == "Keras" for translation in columns):
        said.append("TensorFlow has Keras's as tf.keras.optimizers.")
    if any(translation.defaults for translation in columns):
        said.append("In brackets: the default there, where it is not ours.")
    return said


def absence(stage: AnyStage) -> str:
    """Which of torch and Keras do not have a rule or method of the catalogue; of what stands around one, nothing."""
    of_catalogue = isinstance(stage, Whole) or rules.catalogue().get(stage.rule.name) is stage.rule
    there = {translation.library for translation in stage.rule.translations}
    match [library for library in ("torch", "Keras") if library not in there and of_catalogue]:
        case []:
            return ""
        case [one]:
            return f"{one} does not have it."
        case _:
            return "Neither torch nor Keras has it."


def others(stage: AnyStage, columns: list[Translation]) -> list[str]:
    """The translations that have no column, as sentences."""
    return [sentence(translation) for translation in stage.rule.translations if translation not in columns]


def calls(typed: Chain) -> list[tuple[str, str]]:
    """A chain of one rule and constant numbers, as it is typed in torch and in Keras."""
    if len(typed.stages) != 1 or typed.behind or typed.selects:
        return []
    (stage,) = typed.stages
    rate = typed.step.learning_rate if typed.step else None
    ours = {**stage.values, RATE: rate}
    if any(callable(value) for value in ours.values()):
        return []
    found: list[tuple[str, str]] = []
    for translation in stage.rule.translations:
        depends_on_step = any(STEP in names_in(expression) for expression in translation.arguments.values())
        if translation.library != "paper" and translation.holds(stage.values) and not depends_on_step:
            settings = ", ".join(f"{name}={value!r}" for name, value in translation.values(ours).items())
            found.append((f"In {translation.library}", f"{translation.name}({settings})"))
    return found


def sentence(translation: Translation) -> str:
    """A translation in one line: for which of our settings, what is typed there, and what to watch for."""
    text = str(translation)
    if translation.library == "paper":
        letters = ", ".join(f"{_argument(translation, n)} = {e}" for n, e in translation.arguments.items())
        text = f"{translation.name}: {letters}"
    if translation.where:
        text = f"{_conditions(translation)}: {text}"
    return "; ".join([text, *translation.remarks])


def _conditions(translation: Translation) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in translation.where.items())


def _header(translation: Translation) -> str:
    """The name there, over two lines so that the column stays narrow."""
    if translation.library == "paper":
        return translation.name
    home, _, own = translation.name.rpartition(".")
    return f"{home}.\n{own}"


def _cell(name: str, translation: Translation) -> str:
    """What one of our settings is called there, and in brackets the default that is not ours."""
    found: list[str] = []
    for argument, expression in translation.arguments.items():
        default = translation.defaults.get(argument)
        written = _argument(translation, argument)
        parts = expression.strip("()").split(", ") if expression.startswith("(") else []
        if name in parts:
            place = parts.index(name)
            written = f"{written}[{place}]"
            default = default[place] if isinstance(default, tuple) else default
        elif expression != name:
            if name != _row_of(expression, translation):
                continue
            written = f"{written} = {expression}"
        differs = argument in translation.defaults and default is not Ellipsis
        found.append(f"{written} ({_short(default)})" if differs else written)
    return ", ".join(found)


def _row_of(expression: str, translation: Translation) -> str | None:
    """The setting in whose row a computed argument stands: one that has no argument of its own, the rate first."""
    said_by_others = {other for other in translation.arguments.values() if other.isidentifier()}
    spoken = sorted(names_in(expression) - {STEP}, key=lambda other: (other != RATE, other))
    return next(iter([other for other in spoken if other not in said_by_others] or spoken), None)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _argument(translation: Translation, name: str) -> str:
    """An argument's name as it is written there: a paper's letter with its index."""
    if translation.library != "paper":
        return name
    for ending, sign in _SIGNS.items():
        name = name.replace(ending, sign)
    letter = name.rstrip("0123456789")
    return letter + name[len(letter) :].translate(_INDICES)
