"""What stages, states and hyper-parameters are called in a chain, and what a formula calls what it computes."""

from __future__ import annotations

import contextlib
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING

from thalweg.formula.rule import Stage
from thalweg.formula.scalar import Scalar

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from types import FrameType

    from thalweg.formula.cut import AnyStage
    from thalweg.formula.rule import Rule

GIVEN = ("g", "p", "t", "lr", "loss", "curvature", "hessian_product")
RESERVED = (
    *GIVEN,
    *("params", "param_names", "chain", "maximize", "steps", "calls", "skips", "controllers", "state_dtype"),
)
"""Names that are taken: what a formula is given, and a group's own entries."""


def labels_of(stages: Sequence[AnyStage]) -> list[str]:
    """A name for every stage: its rule's, and numbered where one comes again."""
    labels: list[str] = []
    for stage in stages:
        again = sum(label.split("_#")[0] == stage.rule.name for label in labels)
        labels.append(f"{stage.rule.name}_#{again + 1}" if again else stage.rule.name)
    return labels


def unique_names(stages: Sequence[AnyStage], labels: Sequence[str]) -> dict[tuple[int, str], str]:
    """A name for every state and hyper-parameter: its own, or with the rule's before it where two would be alike."""
    states = list(map(states_of, stages))
    local_names = [(place, local) for place, stage in enumerate(stages) for local in (*states[place], *stage.values)]
    count = Counter(local for _, local in local_names)
    taken = {
        (place, local)
        for place, local in local_names
        if count[local] > 1
        or local in RESERVED
        or (local in states[place] and re.fullmatch(r"[ckru]\d+", local))  # as plans name what they compute
    }
    return {(at, local): f"{labels[at]}.{local}" if (at, local) in taken else local for at, local in local_names}


def states_of(stage: AnyStage) -> tuple[str, ...]:
    """The names that a stage has for its states."""
    return tuple(stage.rule.states if isinstance(stage, Stage) else stage.states)


@contextlib.contextmanager
def watch_names(rule: Rule, names: list[tuple[str, Scalar]]) -> Generator[None]:
    """See what names a formula gives to what it computes, by a look at its variables when it returns."""
    code = getattr(rule.formula, "__code__", None)

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code is code:
            found = {name: value for name, value in frame.f_locals.items() if isinstance(value, Scalar)}
            names.extend((name, value) for name, value in found.items() if value.operation not in ("constant", "input"))

    before = sys.getprofile()
    if before is not None and not callable(before):
        yield  # a profiler that could not be put back: do without the names
        return
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)
