"""What is said of a formula whose signature the language cannot read."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from thalweg.errors import FormulaError
from thalweg.formula import (
    Direction,
    Fraction,
    LearningRate,
    Parameter,
    Range,
    Scalar,
    State,
    Step,
    Update,
    Zeros,
    rule,
)

a_rule = rule(title="A rule", source="a test")


def test_a_signature_is_the_schema() -> None:
    @a_rule
    def full(
        g: Direction,
        p: Parameter,
        m: Zeros,
        r: Annotated[Scalar, State(start="r0")],
        t: Step,
        alpha: LearningRate,
        *,
        beta: Fraction = 0.5,
        r0: float = 1.0,
        form: Literal["a", "b"] = "a",
        flag: bool = False,
        other: Fraction | None = None,
    ) -> Update:
        """What it does."""
        return g, m, r

    assert list(full.states) == ["m", "r"]
    assert full.states["r"].start == "r0"
    assert full.doc == "What it does."
    hypers = full.hyperparameters
    assert {name: h.choices for name, h in hypers.items()} == {
        "beta": (), "r0": (), "form": ("a", "b"), "flag": (False, True), "other": (),
    }  # fmt: skip
    assert str(hypers["beta"].range) == "[0, 1)"
    assert str(hypers["other"].range) == "[0, 1)"
    assert repr(full) == "<rule full>"


def test_an_argument_without_annotation_is_refused_with_what_it_may_be() -> None:
    def adan(g: Direction, n) -> Update:  # noqa: ANN001  # that is the point
        return g, n

    with pytest.raises(
        FormulaError,
        match=r"rule `adan` does not say what its argument `n` stands for; annotate it with `Direction`, `Parameter`, "
        r"`Step`, `LearningRate`, `Zeros` or another slot of thalweg.formula, or make it keyword-only",
    ):
        a_rule(adan)


@pytest.mark.parametrize("annotation", [float, "float", Scalar, Any, Annotated[Scalar, "state"]])
def test_an_annotation_that_is_no_slot_is_refused(annotation: Any) -> None:
    def odd(g: Direction, n: annotation) -> Update:
        return g

    odd.__annotations__["n"] = annotation
    with pytest.raises(FormulaError, match="does not say what its argument `n` stands for"):
        a_rule(odd)


def test_a_hyperparameter_without_default_is_refused() -> None:
    def bare(g: Direction, *, beta: Fraction) -> Update:
        return beta * g

    with pytest.raises(FormulaError, match="rule `bare`: hyper-parameter `beta` has no default; give it the paper's"):
        a_rule(bare)


def test_a_state_that_starts_at_an_unknown_hyperparameter_is_refused() -> None:
    def lost(g: Direction, r: Annotated[Scalar, State(start="r_0")], *, r0: float = 1.0) -> Update:
        return g, r

    with pytest.raises(
        FormulaError, match="rule `lost`: state `r` starts at `r_0`, which is no hyper-parameter; did you mean `r0`"
    ):
        a_rule(lost)


def test_a_note_on_nothing_is_refused() -> None:
    def plain(g: Direction, *, beta: Fraction = 0.5) -> Update:
        return beta * g

    with pytest.raises(
        FormulaError, match="rule `plain` has a note on `bta`, which it does not have; did you mean `beta`"
    ):
        rule(title="Plain", source="a test", bta="0.5, a paper")(plain)


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "text"),
    [
        (Range(0, 1), [0.0, 0.999], [-1e-9, 1.0, float("nan")], "[0, 1)"),
        (Range(0), [0, 1e300], [-1, float("inf"), float("nan")], "[0, ∞)"),
        (Range(0, low_included=False), [1e-300], [0.0], "(0, ∞)"),
        (Range(0, 1, high_included=True), [1], [1.0000001], "[0, 1]"),
        (Range(-0.5, 2.5), [-0.5], [2.5], "[-0.5, 2.5)"),
    ],
)
def test_a_range_knows_its_ends(bounds: Range, inside: list[float], outside: list[float], text: str) -> None:
    assert all(value in bounds for value in inside)
    assert not any(value in bounds for value in outside)
    assert str(bounds) == text
