"""Whatever happens to Muon in its life, in whatever order, it stays where torch's is."""

from __future__ import annotations

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import thalweg as tw
from descents import parameters
from optimizer.dropin.test_lives import Lives
from tolerances import deviation

SHAPES = [(6, 4), (4, 6), (6, 4), (6, 4)]
BFLOAT16 = 2e-3
"""Of the largest parameter: both iterate in bfloat16, torch one matrix after the other and we a stack."""


class LivesOfMatrices(RuleBasedStateMachine):
    """Two optimizers, ours and torch's, to which the same things happen."""

    @initialize(groups=st.booleans())
    def begin(self, groups: bool) -> None:
        self.name = "Muon"
        self.step_count = 0
        self.pair: list[torch.optim.Optimizer] = []
        for module in (tw, torch.optim):
            tensors = parameters(SHAPES)
            given = [{"params": tensors[:2]}, {"params": tensors[2:], "lr": 0.01}] if groups else tensors
            self.pair.append(module.Muon(given, lr=0.05))

    @rule(weight=st.sampled_from([0.0, 0.1]), nesterov=st.booleans())
    def change_the_formula(self, weight: float, nesterov: bool) -> None:
        for optimizer in self.pair:
            optimizer.param_groups[0].update(weight_decay=weight, nesterov=nesterov)

    @invariant()
    def they_are_where_the_other_is(self) -> None:
        if hasattr(self, "pair"):
            assert deviation(*map(self.tensors, self.pair)) <= BFLOAT16

    tensors = Lives.tensors
    step = Lives.step
    set_the_rate = Lives.set_the_rate
    forget = Lives.forget
    halve_a_state = Lives.halve_a_state
    move = Lives.move
    turn = Lives.turn
    exchange = Lives.exchange
    copy = Lives.copy
    save_and_load = Lives.save_and_load
    swap_states = Lives.swap_states


TestLivesOfMatrices = LivesOfMatrices.TestCase
TestLivesOfMatrices.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
