"""`thalweg explain WHAT`: one rule, one schedule, one descent, or a whole chain, drawn in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from thalweg.chain import Chain, Route
    from thalweg.cli.catalogue import Entry
    from thalweg.optimizer.state_dtypes import StateDtypes

EXAMPLES = (
    "adam, bfgs, 'chain(adam(), decay(0.1), step(1e-3))', 'warmup(500) >> cosine(3e-4, steps=10_000)' or "
    "'descent(direction=bfgs(), step_size=armijo())'"
)


def explain(
    what: Annotated[
        str,
        typer.Argument(help=f"A name, as `thalweg list` prints it, or something typed: {EXAMPLES}."),
    ],
    steps: Annotated[int | None, typer.Option(min=2, help="Of a schedule: how many steps to plot.")] = None,
    state_dtype: Annotated[
        str | None,
        typer.Option(help="Count bytes with states in `bfloat16`, `8bit`, … or each in its own: `m=bfloat16,v=8bit`."),
    ] = None,
) -> None:
    """One rule, schedule, descent, trainer or chain: its formula or plot, its source, and its names elsewhere."""
    console = Console()
    typed = _typed(console, what.strip())
    if typed.isidentifier():
        _explain_entry(console, typed, find(typed), steps, state_dtype)
    else:
        _explain_value(console, typed, read(typed), steps, state_dtype)


def _typed(console: Console, what: str) -> str:
    """What is to be explained, under the name that it has here; a line says so, where that is another one."""
    from thalweg.cli.catalogue import everything
    from thalweg.lab.other_names import typed_here

    if any(sign in what for sign in "(>*") or _quickly_found(what):
        return what
    names = everything()
    alike = {_bare(name): name for name in reversed(names)}
    same = {name.casefold(): name for name in reversed(names)}
    typed = same.get(what.casefold()) or typed_here(what) or alike.get(_bare(what))
    if typed is None or what in names:
        return what
    console.print(f"\n[dim]{what} is[/dim] {typed} [dim]here.[/dim]", soft_wrap=True)
    return typed


def _bare(name: str) -> str:
    """The name as far as it matters: in small letters, without what stands between words."""
    return name.casefold().replace("_", "").replace("-", "")


def _quickly_found(name: str) -> Entry | None:
    """The entry of that name on one of the shelves that are soon loaded."""
    from thalweg.cli.catalogue import Shelf, contents

    shelves = (contents(shelf) for shelf in (Shelf.rules, Shelf.stages, Shelf.schedules))
    return next((entries[name] for entries in shelves if name in entries), None)


def find(name: str) -> Entry:
    """The catalogue's entry of that name. Raises `UnknownNameError` with the nearest of all names."""
    from thalweg.cli.catalogue import everything
    from thalweg.errors import UnknownNameError, did_you_mean

    quickly = _quickly_found(name)
    if quickly is not None:
        return quickly
    entries = everything()
    if name not in entries:
        nearest = did_you_mean(name, entries, otherwise="`thalweg list` names everything there is")
        raise UnknownNameError(f"there is no rule `{name}`; {nearest}")
    return entries[name]


def _formulas_of(name: str) -> str:
    """Which rules here an optimizer of torch is; nothing if it is none of theirs."""
    from thalweg import rules

    names = [
        rule.name
        for rule in rules.catalogue().values()
        if any(translation.name == f"torch.optim.{name}" for translation in rule.translations)
    ]
    return ", ".join(names)


def read(text: str) -> object:
    """What a typed chain, stage or schedule stands for; it is read, never executed. `lr` is the rule's usual rate.

    Raises `ChainError` if it holds anything but calls and literals, `UnknownNameError` if it calls what is not there.
    """
    from thalweg.lab.typed_chain import read_typed

    return read_typed(text)


def _asked(state_dtype: str | None) -> str | dict[str, str] | None:
    """One dtype, or one for each name, as it is typed."""
    if state_dtype is None or "=" not in state_dtype:
        return state_dtype and state_dtype.strip()
    pairs = (part.partition("=") for part in state_dtype.split(","))
    return {name.strip(): text.strip() for name, _, text in pairs}


def _kept(typed: Chain, state_dtype: str | None) -> StateDtypes | None:
    """In which dtypes the chain's states are kept, if that is said."""
    if state_dtype is None:
        return None
    from thalweg.cli.treatments import treatments
    from thalweg.optimizer.state_dtypes import StateDtypes

    kept = StateDtypes.read(_asked(state_dtype))
    kept.check(typed, typed.traces(one.kind for one in treatments(typed)), ())
    return kept


def _kept_in_route(typed: Route, state_dtype: str | None) -> StateDtypes | None:
    """The same for a route, whose chains each have some of the states."""
    from thalweg.cli.treatments import treatments
    from thalweg.optimizer.state_dtypes import StateDtypes, state_names

    if state_dtype is None:
        return None
    kept = StateDtypes.read(_asked(state_dtype))
    chains = [chain for _, chain in typed.entries]
    known = (state_names(chain, chain.traces(one.kind for one in treatments(chain))) for chain in chains)
    kept.check_known(chains, set[str]().union(*known))
    return kept


def _explain_entry(console: Console, name: str, entry: Entry, steps: int | None, state_dtype: str | None) -> None:
    from thalweg.chain import MatrixMethod
    from thalweg.cli.catalogue import Shelf
    from thalweg.cli.descent_page import print_descent, print_part
    from thalweg.cli.rule_page import print_rule, usual_chain
    from thalweg.cli.schedule_page import print_kind
    from thalweg.descent import Descent, Routine, Trainer
    from thalweg.descent.part import Part
    from thalweg.descent.titles import title_of
    from thalweg.errors import UnknownNameError
    from thalweg.formula import Rule

    if isinstance(entry.thing, Rule | MatrixMethod):
        _refuse_steps(name, steps)
        print_rule(console, entry.thing(), _kept(usual_chain(entry.thing()), state_dtype))
    elif isinstance(entry.thing, Descent):
        _refuse_steps(name, steps)
        print_descent(console, entry.thing, name=name, title=title_of(name))
    elif isinstance(entry.thing, Routine | Trainer):
        _refuse_steps(name, steps)
        print_part(console, entry.thing, name=name, title=title_of(name))
    elif isinstance(entry.thing, type) and issubclass(entry.thing, Part):
        _refuse_steps(name, steps)
        print_part(console, entry.thing)
    elif callable(entry.thing) and entry.shelf in (Shelf.schedules, Shelf.stages, Shelf.optimizers):
        _refuse_steps(name, steps)
        print_kind(console, name, entry.thing)
        formulas = _formulas_of(name)
        if formulas:
            console.print(f"\n[dim]Its formula:[/dim] {formulas}", soft_wrap=True)
    else:
        one = {Shelf.surfaces: "a test surface", Shelf.problems: "a training problem"}[entry.shelf]
        raise UnknownNameError(f"`{name}` is {one}, and has no formula to explain: {entry.line}; `thalweg race {name}`")


def _explain_value(console: Console, text: str, value: object, steps: int | None, state_dtype: str | None) -> None:
    from thalweg.chain import Chain, Route, Step, Whole
    from thalweg.cli.chain_page import print_chain, print_route
    from thalweg.cli.descent_page import print_descent, print_part
    from thalweg.cli.rule_page import print_rule, usual_chain
    from thalweg.cli.schedule_page import print_schedule
    from thalweg.descent import Descent
    from thalweg.descent.part import Part
    from thalweg.errors import ChainError
    from thalweg.formula import Stage
    from thalweg.schedules import Schedule, constant
    from thalweg.schedules.schedule import as_schedule

    match value:
        case Schedule():
            print_schedule(console, value, steps)
        case Step(learning_rate=rate):
            print_schedule(console, as_schedule(rate) if callable(rate) else constant(rate), steps)
        case Stage() | Whole():
            _refuse_steps(text, steps)
            print_rule(console, value, _kept(usual_chain(value), state_dtype))
        case Chain():
            _refuse_steps(text, steps)
            print_chain(console, value, _kept(value, state_dtype))
        case Route():
            _refuse_steps(text, steps)
            print_route(console, value, _kept_in_route(value, state_dtype))
        case Descent():
            _refuse_steps(text, steps)
            print_descent(console, value)
        case Part():
            _refuse_steps(text, steps)
            print_part(console, value)
        case _:
            raise ChainError(
                f"`{text}` is neither a rule, a chain, a schedule, a descent nor a trainer; type for example {EXAMPLES}"
            )


def _refuse_steps(what: str, steps: int | None) -> None:
    if steps is not None:
        raise typer.BadParameter(f"--steps belongs to a schedule, and `{what}` is none")
