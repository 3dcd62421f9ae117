"""How one trainer trains a model: minibatch by minibatch, each step paying for what it has evaluated."""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from thalweg.lab.evaluation import AXES, evaluate, evaluation_steps, measure
from thalweg.lab.minibatches import drawn
from thalweg.lab.outputs import loss_with_outputs
from thalweg.lab.scoring import DivergedError, see_bounded
from thalweg.lab.spending import PRODUCT, Spent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from thalweg.descent import Trainer
    from thalweg.descent.trainers.trainer import Made
    from thalweg.lab.problem import Batch, Problem
    from thalweg.lab.records import Curve, Outcome, Role
    from thalweg.optimizer.layout import Backend

FEW = 6
"""Evaluations that a step is tried out with: enough for any to move."""


class TrainerTraining:
    """One run on its way. It is measured where a chain's would be, each time at the last point that was paid for."""

    def __init__(self, problem: Problem, name: str, trainer: Trainer, seed: int) -> None:
        self._problem, self._name, self._trainer, self._seed = problem, name, trainer, seed
        self._points: list[dict[str, float]] = []
        self._left: list[int] = []
        self._spent = Spent()
        self._steps = self._state_bytes = 0
        self._first = self._loss = math.nan
        self._losses: list[float] = []
        self.seconds = 0.0

    def run(self, budget: int, role: Role) -> tuple[Outcome, str]:
        """Step until the budget is spent; a step that it is not enough for does not count."""
        problem, seed = self._problem, self._seed
        self._left = [0, *evaluation_steps(budget, role)]
        model, shown = problem.build_model(seed), problem.build_model(seed)
        _warm_up(self._name, self._trainer, problem, seed)
        optimizer = self._trainer.optimizer(model)
        begin = here = _values(model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._first = self._loss = measure(problem, model, next(drawn(problem, seed)))["loss"]
            batches = drawn(problem, seed)
            while (most := self._affordable(budget)) >= 1:
                seconds = self.seconds
                made = self._step(model, optimizer, batches, most)
                spent = self._spent + Spent(made.nfev, made.njev, made.nhvp)
                if spent.gradients > budget:
                    break
                self._write(shown, here, until=spent.gradients, seconds=seconds)
                self._spent, self._steps = spent, self._steps + 1
                self._losses.append(made.loss)
                here = _values(model)
            self._write(shown, here, until=math.inf, seconds=self.seconds)
        self._state_bytes = bytes_in({k: v for k, v in optimizer.state_dict().items() if k != "param_groups"})
        if all(map(torch.equal, begin, here)):
            why = getattr(optimizer, "message", "") or f"{budget} gradient evaluations are not enough for one step"
            return "failed", f"nothing has moved: {why}"
        if not math.isfinite(self._points[-1]["test_loss"]):
            raise DivergedError(f"after {self._steps} steps the test loss was not finite")
        return "finished", ""

    def final(self, outcome: Outcome) -> dict[str, float]:
        """What it ended at; of one that did not end, that its losses are infinite."""
        spent = self._spent.record(steps=self._steps)
        if outcome != "finished":
            judged = {"train_loss": math.inf} if self._problem.is_full_batch else {}
            return {"loss": math.inf, **judged, "test_loss": math.inf, **spent}
        last = {name: value for name, value in self._points[-1].items() if name not in AXES}
        return {**last, "state_bytes": float(self._state_bytes), **spent}

    def curve(self) -> Curve:
        """The points as arrays."""
        names = self._points[0] if self._points else ("step",)
        return {name: np.array([point[name] for point in self._points], np.float64) for name in names}

    def _affordable(self, budget: int) -> int:
        """How many evaluations a step may make of what is left, if each of them is of its dearest kind."""
        dearest = self._trainer.minibatches * max(1.0, PRODUCT * self._trainer.products)
        return int((budget - self._spent.gradients) / dearest)

    def _step(self, model: nn.Module, optimizer: Optimizer, batches: Iterator[Batch], most: int) -> Made:
        """One step, with the clock running; what it has evaluated, in gradients of one minibatch."""
        problem, several = self._problem, self._trainer.minibatches
        looked_at = False

        def loss_of(batch: Batch) -> Any:  # noqa: ANN401  # a loss, with its outputs where they are asked for
            nonlocal looked_at
            found = evaluated(self._trainer, problem, model, batch)
            if not looked_at:  # what a search tries besides may be as large as it likes
                looked_at = True
                value = (found[0] if isinstance(found, tuple) else found).item()
                see_bounded(value, first=self._first, step=self._steps)
            return found

        begin = time.perf_counter()
        try:
            batch = joined(list(itertools.islice(batches, several)))
            made = self._trainer.step(optimizer, loss_of, batch, most=most)
        finally:
            self.seconds += time.perf_counter() - begin
        return made._replace(nfev=several * made.nfev, njev=several * made.njev, nhvp=several * made.nhvp)

    def _write(self, shown: nn.Module, here: Sequence[Tensor], *, until: float, seconds: float) -> None:
        """The points that lie before what has been spent now: there the model was as it is `here`."""
        scores: dict[str, float] = {}
        while self._left and self._left[0] < until:
            scores = scores or self._measured(shown, here)
            if self._losses:
                self._loss, self._losses = float(np.mean(self._losses)), []
            known = {"step": self._steps, "spent": self._left.pop(0), "seconds": seconds, "loss": self._loss}
            self._points.append({**known, **scores})

    def _measured(self, shown: nn.Module, here: Sequence[Tensor]) -> dict[str, float]:
        with torch.no_grad():
            for mine, value in zip(_tensors(shown), here, strict=True):
                mine.copy_(value)
        with torch.random.fork_rng(devices=[]):
            scores = evaluate(self._problem, shown)
            if self._problem.is_full_batch:
                scores = {"train_loss": measure(self._problem, shown, self._problem.training_set)["loss"], **scores}
        return scores


def evaluated(trainer: Trainer, problem: Problem, model: nn.Module, batch: Batch) -> Any:  # noqa: ANN401  # as said
    """The loss of a batch with its graph; (loss, outputs), where the trainer asks for these."""
    return loss_with_outputs(problem, model, batch) if trainer.needs_outputs else problem.loss(model, batch)


def try_out(trainer: Trainer, problem: Problem, seed: int, *, backend: Backend = "auto") -> None:
    """Make one step of a model of its own, with few evaluations. Raises whatever the step raises."""
    model = problem.build_model(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        optimizer = trainer.optimizer(model, backend=backend)
        batch = joined(list(itertools.islice(drawn(problem, seed), trainer.minibatches)))
        _ = trainer.step(optimizer, lambda some: evaluated(trainer, problem, model, some), batch, most=FEW)


def joined(batches: Sequence[Batch]) -> Batch:
    """The examples of all of them as one batch."""
    return batches[0] if len(batches) == 1 else tuple(torch.cat(arrays) for arrays in zip(*batches, strict=True))


def bytes_in(value: object) -> int:
    """How many bytes the tensors take that are anywhere in a value."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(bytes_in, cast("dict[object, object]", value).values()))
    return sum(map(bytes_in, cast("list[object]", value))) if isinstance(value, list | tuple) else 0


_warm: set[tuple[str, str]] = set()


def _warm_up(name: str, trainer: Trainer, problem: Problem, seed: int) -> None:
    """Let the kernels be compiled before the clock runs."""
    if (name, problem.name) not in _warm:
        try_out(trainer, problem, seed)
        _warm.add((name, problem.name))


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    """All that a model is evaluated with."""
    return itertools.chain(model.parameters(), model.buffers())


def _values(model: nn.Module) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in _tensors(model)]
