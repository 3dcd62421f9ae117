"""What is drawn of a formula is what it computes: its lines are evaluated, and arrive where the graph does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sympy
from sympy.core.function import AppliedUndef

import thalweg as tw
from dialects import DIALECTS, Dialect
from formula_values import value_of
from thalweg.formula import (
    AtParameter,
    Direction,
    Fraction,
    Parameter,
    Position,
    Update,
    Zeros,
    largest,
    mean,
    norm,
    rms,
    rule,
    total,
    trace,
)
from thalweg.formula.scalar import descend
from thalweg.kernels import notation

if TYPE_CHECKING:
    from thalweg.chain import Chain
    from thalweg.formula import Stage, Trace

MODULES = [{"max": np.maximum, "min": np.minimum}, "numpy"]


def drawn(dialect: Dialect) -> tuple[list[notation.Line], Any]:
    traced = trace([dialect.stage], has_step=dialect.rule != "rprop", with_names=True)
    return notation.draw(traced), traced


def carry_out(lines: list[notation.Line], letters: dict[str, Any]) -> None:
    """Compute one line after the other, each with what the letters stand for by then."""
    for line in lines:
        names = sorted(symbol.name for symbol in line.value.free_symbols)
        compute = sympy.lambdify([sympy.Symbol(name) for name in names], line.value, MODULES)
        letters[line.name.name] = compute(*(letters[name] for name in names))


def assert_drawn_as_traced(traced: Trace, values: dict[str, Any]) -> None:
    """The drawn lines, carried out, arrive at the graph's new parameter and states."""
    drawing = notation._Drawing(traced)
    letter_of = dict(drawing._letters)
    letters = {letter_of[name]: value for name, value in values.items()}
    assert len(letters) == len(values), "two names are drawn as one letter"
    carry_out(drawing.lines(), letters)
    np.testing.assert_allclose(letters["p"], value_of(traced.parameter, values), rtol=1e-12)
    for kept in traced.states:
        np.testing.assert_allclose(letters[letter_of[kept.name]], value_of(kept.after, values), rtol=1e-12)


def inputs_of(traced: Trace) -> list[str]:
    nodes = descend(traced.parameter, *(kept.after for kept in traced.states))
    return [*dict.fromkeys(node.name for node in nodes if node.operation == "input")]


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_the_drawn_lines_compute_the_new_parameter_and_every_new_state(dialect: Dialect) -> None:
    _, traced = drawn(dialect)
    random = np.random.default_rng(0)
    values = {name: random.uniform(0.2, 0.9, 20) * random.choice([-1, 1], 20) for name in inputs_of(traced)}
    positive = (
        {"r", "v", "n", "s", "q", "u", "v_max", "delta"} if dialect.rule not in {"heavy_ball", "nesterov"} else set()
    )
    values |= {name: np.abs(values[name]) + 1 for name in positive & values.keys()}
    values |= {name: np.full(20, 0.5) for name in values.keys() - {"p", "g", *(k.name for k in traced.states)}}
    values |= {name: np.full(20, 3.0) for name in {"t"} & values.keys()}
    assert_drawn_as_traced(traced, values)


a_rule = rule(title="A rule", source="a test")


@a_rule
def difference(g: Direction, old: Zeros) -> Update:
    return g - old, g


@a_rule
def extrapolation(p: Parameter, p_old: AtParameter, *, beta: Fraction = 0.5) -> Update:
    return Position(p + beta * (p - p_old)), p


@a_rule
def swap(g: Direction, a: Zeros, b: Zeros) -> Update:
    return g + a - b, b, a


@a_rule
def shadow(g: Direction, m: Zeros, *, beta: Fraction = 0.5) -> Update:
    beta = beta * beta
    g_old = g
    g = g * beta
    return m + g * beta, g_old + m


@pytest.mark.parametrize(
    "chain",
    [
        tw.chain(difference(), tw.decay(0.1), tw.step(0.1)),
        tw.chain(tw.clip_value(), difference(), tw.decay(0.1), tw.step(0.1)),
        tw.chain(difference(), difference(), difference(), tw.step(0.1)),
        tw.chain(extrapolation()),
        tw.chain(tw.clip_value(), swap(), tw.clip_value(), tw.step(0.1)),
        tw.chain(tw.heavy_ball(form="torch"), shadow(), tw.nesterov(), tw.step(0.1)),
        tw.chain(tw.signum(), shadow(), tw.decay(0.1), tw.nesterov(), tw.step(0.1)),
        tw.chain(tw.adan(), tw.decay(0.1), tw.adamw(), tw.step(0.1)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("with_names", [True, False])
def test_no_line_of_a_chain_overwrites_what_a_later_one_needs(chain: Chain, with_names: bool) -> None:
    traced = chain.trace(with_names=with_names)
    random = np.random.default_rng(1)
    assert_drawn_as_traced(traced, {name: random.uniform(0.2, 0.9, 20) for name in inputs_of(traced)})


def test_a_value_that_two_lines_need_of_each_other_is_kept_under_another_name() -> None:
    lines = notation.draw(tw.chain(extrapolation()).trace(with_names=True))
    assert [line.text for line in lines] == [
        "p_old_2 ← p",
        "p ← p_old_2 + β⋅(p_old_2 - p_old)",
        "p_old ← p_old_2",
    ]


def test_adam_is_drawn_as_its_paper_writes_it() -> None:
    lines, _ = drawn(Dialect("adam", {}, oracle=object))
    assert [line.latex for line in lines] == [
        r"m \leftarrow \beta_{1} m + \left(1 - \beta_{1}\right) g",
        r"v \leftarrow \beta_{2} v + \left(1 - \beta_{2}\right) g^{2}",
        r"\hat{m} \leftarrow \frac{m}{1 - \beta_{1}^{t}}",
        r"\hat{v} \leftarrow \frac{v}{1 - \beta_{2}^{t}}",
        r"p \leftarrow p - \alpha \frac{\hat{m}}{\sqrt{\hat{v}} + \epsilon}",
    ]


def test_gradient_descent_is_one_line_in_a_terminal() -> None:
    lines, _ = drawn(Dialect("gradient_descent", {}, oracle=object))
    assert [line.text for line in lines] == ["p ← p - α⋅g"]


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_every_row_in_a_terminal_stands_under_the_first(dialect: Dialect) -> None:
    lines, _ = drawn(dialect)
    for line in lines:
        rows = line.text.split("\n")
        assert sum(" ← " in row for row in rows) == 1
        assert all(row == row.rstrip() or row.strip() for row in rows)


@pytest.mark.parametrize(
    ("stage", "ends"),
    [
        (tw.nesterov(), ["p ← p + v_new + β⋅(v_new - v)", "v ← v_new"]),
        (tw.nesterov_acceleration(), ["p ← x_new + β⋅(x_new - x)", "x ← x_new"]),
        (tw.rprop(), ["p ← p - sign(g)⋅δ", "gₚᵣₑᵥ ← g"]),
        (tw.nesterov(form="torch"), ["v ← β⋅v + g", "p ← p - α⋅(g + β⋅v)"]),
    ],
    ids=repr,
)
def test_a_state_that_takes_over_a_value_of_another_name_has_a_line_of_its_own(stage: Stage, ends: list[str]) -> None:
    lines = notation.draw(trace([stage], has_step=stage.rule.name != "rprop", with_names=True))
    assert [line.text for line in lines][-2:] == ends


def test_a_chain_is_drawn_with_all_its_stages() -> None:
    traced = trace([tw.decay(0.1), tw.heavy_ball()], with_names=True)
    assert [line.latex for line in notation.draw(traced)][-1] == r"p \leftarrow p + v"


def test_a_value_of_the_formulas_own_is_not_taken_for_a_setting_of_that_name() -> None:
    @a_rule
    def weighing(g: Direction, p: Parameter) -> Update:
        weight = g * g
        return weight + p

    lines = notation.draw(tw.chain(weighing(), tw.decay(0.1), tw.step(0.1)).trace(with_names=True))
    assert [line.text.split("\n")[-1] for line in lines] == ["weight ← g⋅g", "d ← weight + p", "p ← p - α⋅(d + λ⋅p)"]


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_no_factor_of_one_is_drawn(dialect: Dialect) -> None:
    """An option that is left out, as Prodigy's bias correction, may stand as 1 in the graph."""
    lines, _ = drawn(dialect)
    for line in lines:
        products = [node for node in sympy.preorder_traversal(line.value) if isinstance(node, sympy.Mul)]
        assert not [one for one in products if 1 in one.args and -1 not in one.args], line.text  # as in t - 1


def test_a_sum_over_a_tensor_is_drawn_as_what_it_is() -> None:
    @a_rule
    def gathered(g: Direction) -> Update:
        x = g / norm(g, per="model")
        return x * rms(g, per="row") + largest(abs(g), per="tensor") - mean(g, per="column") * total(g, per="matrix")

    lines = notation.draw(tw.chain(gathered(), tw.step(0.1)).trace(with_names=True))
    assert lines[0].text.split("\n")[1] == "x ← ─────────────"
    names = {str(function.func) for line in lines for function in line.value.atoms(AppliedUndef)}
    assert names == {"norm_model", "rms_row", "max_tensor", "mean_column", "sum_matrix"}
    assert r"\operatorname{norm}_{model}" in lines[0].latex
