"""Whatever happens to an optimizer in its life, in whatever order, it stays where torch's is."""

from __future__ import annotations

import copy
import pickle

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import thalweg as tw
from descents import parameters
from dropins import NAMES, OF_TENSORS
from tolerances import TORCH, deviation

SHAPES = [(2, 3), (4,), (), (2, 1, 2, 2)]
PLACES = st.integers(0, len(SHAPES) - 1)


class Lives(RuleBasedStateMachine):
    """Two optimizers, ours and torch's, to which the same things happen."""

    @initialize(name=st.sampled_from([*NAMES, *OF_TENSORS]), groups=st.booleans())
    def begin(self, name: str, groups: bool) -> None:
        self.name = name
        torch.set_default_dtype(torch.float64)  # in which torch keeps a tensor's numbers
        self.step_count = 0
        start = {"lr": 0.05, **({"momentum": 0.9, "dampening": 0.3} if name == "SGD" else {})}
        self.pair: list[torch.optim.Optimizer] = []
        for module in (tw, torch.optim):
            tensors = parameters(SHAPES)
            given = [{"params": tensors[:2]}, {"params": tensors[2:], "lr": 0.01}] if groups else tensors
            self.pair.append(getattr(module, name)(given, **start))

    def tensors(self, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
        return [parameter for group in optimizer.param_groups for parameter in group["params"]]

    @rule(present=st.lists(st.booleans(), min_size=4, max_size=4), times=st.sampled_from([1, 2, 5]))
    def step(self, present: list[bool], times: int) -> None:
        for _ in range(times):
            self.step_count += 1
            for optimizer in self.pair:
                for place, parameter in enumerate(self.tensors(optimizer)):
                    random = torch.Generator().manual_seed(100 * self.step_count + place)
                    drawn = torch.randn(parameter.numel(), generator=random, dtype=torch.float64)
                    parameter.grad = drawn.reshape(parameter.shape) if present[place] else None
                optimizer.step()

    @rule(rate=st.sampled_from([0.0, 0.01, 0.1]), group=st.integers(0, 1))
    def set_the_rate(self, rate: float, group: int) -> None:
        for optimizer in self.pair:
            optimizer.param_groups[group % len(optimizer.param_groups)]["lr"] = rate

    @rule(weight=st.sampled_from([0.0, 0.1]), maximize=st.booleans())
    def change_the_formula(self, weight: float, maximize: bool) -> None:
        for optimizer in self.pair:
            optimizer.param_groups[0].update(weight_decay=weight, maximize=maximize)

    @rule(momentum=st.sampled_from([0.0, 0.5]))
    def change_what_is_kept(self, momentum: float) -> None:
        for optimizer in self.pair:
            if self.name == "SGD":
                optimizer.param_groups[0]["momentum"] = momentum

    @rule(place=PLACES)
    def forget(self, place: int) -> None:
        for optimizer in self.pair if self.name != "Adagrad" else ():  # torch's makes its state once, at the beginning
            optimizer.state[self.tensors(optimizer)[place]] = {}

    @rule(place=PLACES)
    def halve_a_state(self, place: int) -> None:
        for optimizer in self.pair:
            for name, value in optimizer.state.get(self.tensors(optimizer)[place], {}).items():
                if value is not None and name != "step":
                    value.mul_(0.5)

    @rule(place=PLACES)
    def move(self, place: int) -> None:
        for optimizer in self.pair:
            parameter = self.tensors(optimizer)[place]
            parameter.grad = None
            parameter.data = parameter.data.clone().mul_(1.25)

    @rule(place=PLACES)
    def turn(self, place: int) -> None:
        for optimizer in self.pair:
            parameter = self.tensors(optimizer)[place]
            parameter.grad = None
            order = list(reversed(range(parameter.dim())))
            parameter.data = parameter.data.permute(order).contiguous().permute(order)

    @rule(place=PLACES)
    def exchange(self, place: int) -> None:
        for optimizer in self.pair:
            old = self.tensors(optimizer)[place]
            new = old.detach().clone().requires_grad_()
            if old in optimizer.state:
                optimizer.state[new] = optimizer.state.pop(old)
            for group in optimizer.param_groups:
                group["params"] = [new if parameter is old else parameter for parameter in group["params"]]

    @rule(by_pickle=st.booleans())
    def copy(self, by_pickle: bool) -> None:
        for place, optimizer in enumerate(self.pair):
            self.pair[place] = pickle.loads(pickle.dumps(optimizer)) if by_pickle else copy.deepcopy(optimizer)  # noqa: S301

    @rule()
    def save_and_load(self) -> None:
        for optimizer in self.pair:
            optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))

    @rule()
    def swap_states(self) -> None:
        one, other = self.pair
        saved = [copy.deepcopy(optimizer.state_dict()) for optimizer in (one, other)]
        one.load_state_dict(saved[1])
        other.load_state_dict(saved[0])

    @invariant()
    def they_are_where_the_other_is(self) -> None:
        if hasattr(self, "pair"):
            assert deviation(*map(self.tensors, self.pair)) <= TORCH[torch.float64]

    def teardown(self) -> None:
        torch.set_default_dtype(torch.float32)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=120, stateful_step_count=25, deadline=None)
