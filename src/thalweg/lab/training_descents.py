"""How one descent trains a model: on all of its training data at once, over one flat vector of its parameters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from thalweg.lab.evaluation import AXES, evaluate, evaluation_steps, measure
from thalweg.lab.following import follow, needs_outputs
from thalweg.lab.outputs import loss_with_outputs
from thalweg.lab.scoring import DIVERGED

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent import Descent, Routine
    from thalweg.lab.following import End, Stay
    from thalweg.lab.problem import Batch, Problem
    from thalweg.lab.records import Curve, Outcome, Role


class DescentTraining:
    """One run on its way. It is measured where a chain's would be, each time at the last point that was paid for."""

    def __init__(self, problem: Problem, method: Descent | Routine, seed: int) -> None:
        self._problem, self._method, self._seed = problem, method, seed
        self._points: list[dict[str, float]] = []
        self._left: list[int] = []
        self._held: Stay | None = None
        self._reached = self._first = 0.0
        self._scores: dict[str, float] | None = None
        self._end: End | None = None
        self.seconds = 0.0

    def run(self, budget: int, role: Role) -> tuple[Outcome, str]:
        """Let it spend its budget; how that ended, with the method's message."""
        self._left = [0, *evaluation_steps(budget, role)]
        self._model = self._problem.build_model(self._seed)
        self._trained = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            start = parameters_to_vector(self._trained).detach()
            loss = _FlatLoss(self._problem, self._model, with_outputs=needs_outputs(self._method))
            self._resume()
            end = follow(
                self._method,
                loss,
                start,
                budget=budget,
                seen=self._take_note,
                leaves=self._leaves,
                seed=self._seed,
            )
            self._pause()
            self._end = end
            if end.outcome == "finished":
                if self._held is not end.stay:
                    self._hold(end.stay)
                self._write(until=float("inf"))
        return end.outcome, end.message

    def final(self, outcome: Outcome) -> dict[str, float]:
        """What it ended at; of one that did not end, that its losses are infinite."""
        spent = {} if self._end is None else self._end.stay.spent.record(steps=self._end.stay.steps)
        if outcome != "finished":
            return {**dict.fromkeys(("loss", "train_loss", "test_loss"), float("inf")), **spent}
        return {**{name: value for name, value in self._points[-1].items() if name not in AXES}, **spent}

    def curve(self) -> Curve:
        """The points as arrays."""
        names = self._points[0] if self._points else ("step",)
        return {name: np.array([point[name] for point in self._points], np.float64) for name in names}

    def _take_note(self, stay: Stay) -> None:
        self._pause()
        if self._held is None:
            self._first = stay.value
        self._write(until=stay.spent.gradients)
        self._hold(stay)
        self._resume()

    def _leaves(self, stay: Stay) -> str:
        if abs(stay.value) <= DIVERGED * max(abs(self._first), 1.0):
            return ""
        return f"after {stay.steps} steps the loss was {stay.value:g}, at first {self._first:g}"

    def _hold(self, stay: Stay) -> None:
        self._held, self._reached, self._scores = stay, self.seconds, None

    def _write(self, *, until: float) -> None:
        """The points that lie before what has been spent now: there it stood where it is held."""
        while self._held is not None and self._left and self._left[0] < until:
            stay = self._held
            self._scores = self._measured(stay.x) if self._scores is None else self._scores
            known = {"step": stay.steps, "spent": self._left.pop(0), "seconds": self._reached, "loss": stay.value}
            self._points.append({**known, **self._scores})

    def _measured(self, x: Tensor) -> dict[str, float]:
        vector_to_parameters(x, self._trained)
        with torch.random.fork_rng(devices=[]):
            train_loss = measure(self._problem, self._model, self._problem.training_set)["loss"]
            return {"train_loss": train_loss, **evaluate(self._problem, self._model)}

    def _resume(self) -> None:
        self._begin = time.perf_counter()

    def _pause(self) -> None:
        self.seconds += time.perf_counter() - self._begin


class _FlatLoss(nn.Module):
    """The problem's loss over all of its training data, as a function of the flat parameters."""

    def __init__(self, problem: Problem, model: nn.Module, *, with_outputs: bool) -> None:
        super().__init__()
        self.loss = _WithLoss(problem, model, with_outputs=with_outputs)
        self.batch = problem.training_set
        self.trained = {name: p for name, p in self.loss.named_parameters() if p.requires_grad}

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        parts = x.split([p.numel() for p in self.trained.values()])
        views = [part.view_as(p) for part, p in zip(parts, self.trained.values(), strict=True)]
        return functional_call(self.loss, dict(zip(self.trained, views, strict=True)), (self.batch,))


class _WithLoss(nn.Module):
    """The loss as a module's output; where a method asks for them, with the outputs of the model that it is of."""

    def __init__(self, problem: Problem, model: nn.Module, *, with_outputs: bool) -> None:
        super().__init__()
        self.model = model
        self.problem = problem
        self.with_outputs = with_outputs

    def forward(self, batch: Batch) -> Tensor | tuple[Tensor, Tensor]:
        if self.with_outputs:
            return loss_with_outputs(self.problem, self.model, batch)
        return self.problem.loss(self.model, batch)
