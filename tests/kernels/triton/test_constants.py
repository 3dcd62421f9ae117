"""The step's constants, computed on the device: the same as on the host, and counted there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import thalweg as tw
from descents import usual_chain
from dialects import DIALECTS, Dialect
from thalweg.errors import HyperparameterError
from thalweg.formula import Direction, Step, Update, rule
from thalweg.kernels import plan
from thalweg.kernels.triton.compile import load
from thalweg.kernels.triton.constants import Counted, Counting
from thalweg.kernels.triton.language import POWER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thalweg.chain import Chain

CPU = torch.device("cpu")
ADAM = tw.chain(tw.adam(), tw.step(0.1))


def counting(
    chain: Chain, dtype: torch.dtype = torch.float64, before: Sequence[float] = (0,), rows: Sequence[int] = (0,)
) -> tuple[Counting, list[float]]:
    """Constants of tensors that were stepped so often before, and what they are computed from."""
    traced = chain.trace()
    planned = plan(traced)
    counts = torch.tensor(before, dtype=torch.float64)
    made = Counting(planned, dtype, CPU, Counted(counts, range(len(counts)), rows, torch.zeros(2)))
    numbers = {"t": -1.0, **{name: v(0) if callable(v) else v for name, v in chain.numbers(traced).items()}}
    inputs = [numbers[name] for name in planned.inputs]
    made.set_inputs(0, inputs)
    return made, inputs


def counts_of(made: Counting) -> list[float]:
    return made._counted.counts.tolist()


def on_host(chain: Chain, t: float) -> tuple[float, ...]:
    traced = chain.trace()
    planned = plan(traced)
    numbers = {"t": t, **{name: v(0) if callable(v) else v for name, v in chain.numbers(traced).items()}}
    return tuple(map(float, planned.compute_constants(*(numbers[name] for name in planned.inputs))))


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_every_dialects_constants_are_those_of_the_host(dialect: Dialect) -> None:
    chain = usual_chain(dialect.stage)
    before = (0, 1, 7, 5_000)
    made, _ = counting(chain, before=before, rows=[0] * len(before))
    expected = [value for count in before for value in on_host(chain, count + 1)]
    assert made.compute().tolist() == pytest.approx(expected, rel=2e-13, abs=0)
    assert counts_of(made) == [1, 2, 8, 5_001]


def test_constants_for_a_single_precision_kernel_are_rounded_once() -> None:
    made, _ = counting(ADAM, torch.float32)
    assert made.compute().tolist() == [float(np.float32(value)) for value in on_host(ADAM, 1)]


def test_tensors_of_different_age_and_group_have_their_own_constants() -> None:
    quicker = tw.chain(tw.adam(), tw.step(0.5))
    made, inputs = counting(ADAM, before=(0, 41, 41), rows=(0, 0, 1))
    made.set_inputs(1, [0.5 if value == 0.1 else value for value in inputs])
    expected = [*on_host(ADAM, 1), *on_host(ADAM, 42), *on_host(quicker, 42)]
    assert made.compute().tolist() == pytest.approx(expected, rel=2e-13)
    assert counts_of(made) == [1, 42, 42]


def test_several_launches_count_in_one_place() -> None:
    counts = torch.tensor([3.0, 5.0, 7.0], dtype=torch.float64)
    for places in ([0, 2], [2]):
        Counting(
            plan(ADAM.trace()), torch.float32, CPU, Counted(counts, places, [0] * len(places), torch.zeros(2))
        ).compute()
    assert counts.tolist() == [4, 5, 9]


@pytest.mark.parametrize("found", [1.0, 2.0])
def test_a_step_that_is_left_out_is_not_counted(found: float) -> None:
    made, _ = counting(ADAM)
    made._counted.flags.fill_(found)
    made.compute()
    assert counts_of(made) == [0]
    made._counted.flags.zero_()
    made.begin()
    made.compute()
    assert counts_of(made) == [1]


def test_a_tensor_is_read_anew_at_every_step() -> None:
    made, inputs = counting(tw.chain(tw.gradient_descent(), tw.step(0.1)))
    rate = torch.tensor(0.5)
    made.set_inputs(0, [rate])
    assert made.compute().tolist() == [0.5]
    rate.fill_(0.25)
    made.begin()
    assert made.compute().tolist() == [0.25]
    made.set_inputs(0, inputs)
    made.begin()
    assert made.compute().tolist() == [0.1]


def test_constants_that_are_no_finite_numbers_are_told_of() -> None:
    def strange(g: Direction, t: Step) -> Update:
        return g / (t - 2)

    made, _ = counting(tw.chain(rule(title="Strange", source="a test")(strange)(), tw.step(0.1)))
    made.compute()
    made.check()
    made.begin()
    made.compute()
    with pytest.raises(HyperparameterError, match="the step's constants, computed from t, lr, were no finite numbers"):
        made.check()
    made.begin()
    made.compute()
    made.check()


@pytest.mark.parametrize("y", [0.0, 1.0, -1.0, 2.0, 3.0, 0.5, -2.5, 1e5, -7.0])
@pytest.mark.parametrize("x", [0.0, 1.0, 0.999, 0.9, 2.5, -1.0, -0.9, -3.0, 1e-300])
def test_a_power_is_that_of_c(x: float, y: float) -> None:
    from triton.runtime.interpreter import InterpretedFunction

    text = f"""\
import triton.language as tl


{POWER}

@jit
def kernel(given: "*fp64", result: "*fp64"):
    tl.store(result, power(tl.load(given), tl.load(given + 1)))
"""
    result = torch.zeros(1, dtype=torch.float64)
    with np.errstate(all="ignore"):
        InterpretedFunction(load(text, lambda function: function))[(1,)](
            torch.tensor([x, y], dtype=torch.float64), result
        )
        expected = float(np.power(x, y))
    exponent = abs(y * np.log2(abs(x))) if x else 1.0
    assert float(result) == pytest.approx(expected, rel=4e-16 * max(1.0, exponent), abs=1e-320, nan_ok=True)
