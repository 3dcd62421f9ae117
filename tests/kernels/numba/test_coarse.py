"""The kernels between passes: the text as it was reviewed, and the same numbers as torch's operations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import thalweg as tw
from descents import descend, parameters, usual_chain
from dialects import DIALECTS
from model_dialects import MODEL_DIALECTS
from thalweg.kernels import plan
from thalweg.kernels.coarse import Between, Program
from thalweg.kernels.geometry import Geometry
from thalweg.kernels.numba.coarse import LEVELS, CompiledCoarse
from thalweg.kernels.numba.coarse_emit import emit_coarse

if TYPE_CHECKING:
    from thalweg.kernels.plan import Plan

KEPT = Path(__file__).parent / "nadam_coarse_float32.txt"
SIZES = (7, 1, 12)
CHAINS = [usual_chain(dialect.stage) for dialect in DIALECTS]
CHAINS += [dialect.chain(dialect.schedule) for dialect in MODEL_DIALECTS]
CHAINS += [
    tw.chain(tw.clip(1.0), tw.adam(), tw.step(0.1)),
    tw.chain(tw.clip(1.0, per="tensor"), tw.lars(), tw.step(0.1)),
]
PLANS = {
    made: chain
    for chain in CHAINS
    for made in map(plan, chain.trace().parts)
    if made.levels and made.levels <= LEVELS and (made.coarse or made.updates)
}


def test_the_coarse_kernel_of_nadam_is_the_one_that_was_reviewed() -> None:
    nadam = plan(tw.chain(tw.nadam(), tw.step(0.1)).trace())
    values = [(place, c.value) for place, c in enumerate(nadam.coarse)]
    text = emit_coarse(
        "The values after pass 0.",
        values,
        {"mu_product": 0},
        conditions=(),
        width=len(nadam.constants),
        stride=len(values),
        precision="float32",
    )
    assert text == KEPT.read_text(encoding="utf-8")


def gathered_after(made: Plan, passes: int, numbers: np.random.Generator) -> dict[str, torch.Tensor]:
    """What a pass might have gathered: a number for each tensor, or for the model."""
    return {
        r.name: torch.tensor(
            numbers.uniform(0, 3, len(SIZES) if r.level.value == "tensor" else ()), dtype=torch.float64
        )
        for r in (made.passes[passes - 1].reductions if passes else ())
    }


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("made", PLANS, ids=lambda made: "-".join(map(repr, PLANS[made].stages)))
def test_compiled_values_are_torchs(made: Plan, rows: int) -> None:
    numbers = np.random.default_rng(3)
    of_model = all(kept.level.value == "model" for kept in made.coarse_states)
    constants = numbers.uniform(0.1, 2, (rows, len(made.constants)))
    for place, constant in enumerate(made.constants):
        if constant.is_condition:
            constants[:, place] = place % 2
    which = [0, rows - 1, 0]
    states = {
        kept.name: np.full(3, numbers.uniform(0, 2)) if of_model else numbers.uniform(0, 2, 3)
        for kept in made.coarse_states
    }
    sizes = dict.fromkeys(made.of_model, 20.0)
    program = Program(made, Geometry([(size,) for size in SIZES]))
    given = {name: torch.from_numpy(value) for name, value in states.items()} | {"loss": torch.tensor(0.7).double()}
    expected = Between(program, torch.from_numpy(constants[which]), given, sizes)
    table = np.zeros((3, len(made.coarse)))
    compiled = CompiledCoarse(made, SIZES, table)
    compiled.set_rows(which, rows)
    for row in range(rows):
        compiled.set_constants(row, constants[row])
    for name, value in states.items():
        if compiled.asks_for(name):
            compiled.input(name)[:] = value
    compiled.begin(sizes, float(torch.tensor(0.7)))
    for passes in range(len(made.passes)):
        gathered = gathered_after(made, passes, numbers)
        found = expected.after(passes, gathered)
        compiled.settle(passes, gathered)
        for place, c in enumerate(made.coarse):
            if c.name in found:
                wanted = found[c.name].double().expand(3).numpy()
                np.testing.assert_allclose(table[:, place], wanted, rtol=4e-16 * 4, atol=0)
    gathered = gathered_after(made, len(made.passes), numbers)
    updates = expected.updates(gathered)
    new = compiled.updates(gathered)
    assert new.keys() == updates.keys()
    for name, values in new.items():
        np.testing.assert_allclose(values, updates[name].double().expand(3).numpy(), rtol=4e-16 * 4, atol=0)


def test_states_of_the_model_are_each_groups_own() -> None:
    def groups() -> list[dict[str, object]]:
        some = parameters(((3, 4), (5,), (2, 3)))
        return [{"params": some[:1]}, {"params": some[1:], "chain": tw.chain(tw.schedule_free_sgd(), tw.step(0.3))}]

    chain = tw.chain(tw.schedule_free_sgd(), tw.step(0.1))
    made = {backend: tw.Optimizer(groups(), chain, backend=backend) for backend in ("numba", "reference")}
    reached = {backend: descend(optimizer, 5) for backend, optimizer in made.items()}
    for ours, theirs in zip(reached["numba"], reached["reference"], strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-14, atol=0)
    for ours, theirs in zip(made["numba"].param_groups, made["reference"].param_groups, strict=True):
        assert ours["rate_max"] == theirs["rate_max"]
        assert ours["weights"] == pytest.approx(theirs["weights"], rel=1e-15)
    rates = [group["rate_max"] for group in made["numba"].param_groups]
    assert rates == pytest.approx([0.1, 0.3])
