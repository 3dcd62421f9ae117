"""What is drawn of a formula is what it computes: its lines are evaluated, and arrive where the graph does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy

import thalweg as tw
from dialects import DIALECTS, Dialect
from formula_values import value_of
from thalweg.formula import trace
from thalweg.formula.scalar import descend
from thalweg.kernels import notation

MODULES = [{"max": np.maximum, "min": np.minimum}, "numpy"]


def drawn(dialect: Dialect) -> tuple[list[notation.Line], Any]:
    traced = trace([dialect.stage], has_step=dialect.rule != "rprop", with_names=True)
    return notation.draw(traced), traced


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_the_drawn_lines_compute_the_new_parameter(dialect: Dialect) -> None:
    lines, traced = drawn(dialect)
    random = np.random.default_rng(0)
    nodes = descend(traced.parameter, *(kept.after for kept in traced.states))
    names = [node.name for node in nodes if node.operation == "input"]
    values = {name: random.uniform(0.2, 0.9, 20) * random.choice([-1, 1], 20) for name in names}
    positive = (
        {"r", "v", "n", "s", "q", "u", "v_max", "delta"} if dialect.rule not in {"heavy_ball", "nesterov"} else set()
    )
    values |= {name: np.abs(values[name]) + 1 for name in positive & values.keys()}
    values |= {name: np.full(20, 0.5) for name in values.keys() - {"p", "g", *(k.name for k in traced.states)}}
    values |= {name: np.full(20, 3.0) for name in {"t"} & values.keys()}
    letters = {notation._symbol(name).name: value for name, value in values.items()}
    assert len(letters) == len(values), "two names are drawn as one letter"
    for line in lines:
        names = sorted(symbol.name for symbol in line.value.free_symbols)
        compute = sympy.lambdify([sympy.Symbol(name) for name in names], line.value, MODULES)
        letters[line.name.name] = compute(*(letters[name] for name in names))
    np.testing.assert_allclose(letters["p"], value_of(traced.parameter, values), rtol=1e-12)


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


def test_a_chain_is_drawn_with_all_its_stages() -> None:
    traced = trace([tw.decay(0.1), tw.heavy_ball()], with_names=True)
    assert [line.latex for line in notation.draw(traced)][-1] == r"p \leftarrow p + v"
