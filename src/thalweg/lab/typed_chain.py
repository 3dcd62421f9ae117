"""A chain as the user types it: `chain(adam(beta2=0.95), decay(0.1), step(lr))`, a `route`, a descent or a trainer.

The text is read, never executed. The name `lr` stands for the value that is tuned; a chain without it is run as it is.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from thalweg import rules
from thalweg.chain import Chain, Route, matrix_methods
from thalweg.descent import Descent, Routine, Trainer, trainers
from thalweg.descent.part import Part
from thalweg.errors import ChainError
from thalweg.lab.contenders import Contender
from thalweg.lab.typed_reader import RATE, called, evaluate, parse

if TYPE_CHECKING:
    from thalweg.lab.contenders import Built

MIDDLE = 0.01


def read_chain(text: str) -> Contender:
    """The contender that a typed chain, route, descent or trainer stands for, called by its text.

    >>> contender = read_chain("chain(adam(beta2=0.95), step(lr))")
    >>> contender.build(0.001), contender.tuned
    (chain(adam(beta2=0.95), step(0.001)), 'lr')

    Raises:
        ChainError: the text is no chain, or holds more than a chain may.
        UnknownNameError: it calls what is in no catalogue.
    """
    text = text.strip()
    tree = parse(text)
    tuned = any(isinstance(node, ast.Name) and node.id == RATE for node in ast.walk(tree))

    def build(rate: float) -> Built:
        built = evaluate(text, tree, rate)
        if isinstance(built, Part) and not isinstance(built, Routine | Trainer):
            raise ChainError(
                f"`{text}` is a part of a descent; put it in one: descent(direction=bfgs(), step_size=armijo())"
            )
        if not isinstance(built, Chain | Route | Descent | Routine | Trainer):
            raise ChainError(f"`{text}` is not a chain; put its stages in one: chain(adam(), step(lr))")
        return built

    default = _middle(tree) if tuned else 1.0
    _ = build(default)
    return Contender(name=text, title=text, build=build, tuned="lr" if tuned else None, default=default)


def read_typed(text: str) -> object:
    """What a typed rule, stage, chain, route or schedule stands for; `lr` is the usual rate of the first rule in it.

    Raises `ChainError` or `UnknownNameError` as `read_chain` does.
    """
    tree = parse(text)
    return evaluate(text, tree, _middle(tree))


def _middle(tree: ast.expr) -> float:
    """The rate to begin with: that of the first rule that has one, or else of the trainer around it."""
    catalogue, methods = rules.catalogue(), matrix_methods()
    names = [called(node) for node in ast.walk(tree)]
    for name in names:
        rule = methods[name].rule if name in methods else catalogue.get(name or "")
        if rule is not None and rule.learning_rate is not None:
            return rule.learning_rate
    usual = {name: trainer.rate for name, trainer in trainers().items()}
    return next((rate for name in names if name and (rate := usual.get(name)) is not None), MIDDLE)
