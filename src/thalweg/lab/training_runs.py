"""How one training run is run, and becomes a record.

The seed decides the initialisation, the order of the data and whatever else the model draws from torch's
random numbers, in the same way for every optimizer. The clock stands still while the model is evaluated. A
run has diverged where the loss or a gradient is not finite, or a minibatch's loss is above `DIVERGED` times
the first one's.
"""

from __future__ import annotations

import contextlib
import copy
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from thalweg.descent import Descent, Routine, Trainer
from thalweg.errors import NonFiniteGradientError
from thalweg.lab import contenders
from thalweg.lab.clock import now
from thalweg.lab.entries import TrainingReference, problem_of
from thalweg.lab.evaluation import AXES, evaluate, evaluation_steps, measure
from thalweg.lab.fit import evaluates_apart, formulas
from thalweg.lab.minibatches import drawn
from thalweg.lab.problem_check import tell
from thalweg.lab.records import RunRecord
from thalweg.lab.scoring import DivergedError, see_bounded
from thalweg.lab.spending import Pace
from thalweg.lab.training_descents import DescentTraining
from thalweg.lab.training_trainers import TrainerTraining, bytes_in
from thalweg.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from thalweg.chain import Chain, Route
    from thalweg.lab.contenders import Built
    from thalweg.lab.contest import Task
    from thalweg.lab.problem import Batch, Problem
    from thalweg.lab.records import Outcome, Role


def run_training(task: Task) -> RunRecord:
    """Run the one trial and seed of a task. Whatever goes wrong is its outcome, not an exception."""
    assert isinstance(task.problem, TrainingReference)  # noqa: S101 (the caller told the kinds apart)
    problem, contender = problem_of(task.problem), contenders.get(task.contender)
    ((trial, rate),), (seed,) = task.trials, task.seeds
    started = now()
    outcome, message = "finished", ""
    training = _training(problem, contender.name, contender.build(rate), seed)
    try:
        outcome, message = training.run(task.steps, task.role)
    except (DivergedError, NonFiniteGradientError) as error:
        outcome, message = "diverged", str(error)
    except Exception as error:  # noqa: BLE001 (a user's model may raise anything; the race goes on)
        file = None if task.problem.file is None else Path(task.problem.file).resolve()
        outcome, message = "failed", tell(error, file=file)
    return RunRecord(
        problem=problem.name,
        optimizer=contender.name,
        chain=repr(contender.build(rate)),
        tuned=contender.settings(rate),
        role=task.role,
        trial=trial,
        seed=seed,
        data_order=problem.order,
        budget=task.steps,
        outcome=outcome,
        message=message,
        started=started,
        seconds=training.seconds,
        final=training.final(outcome),
        curve=training.curve(),
    )


def _training(problem: Problem, name: str, built: Built, seed: int) -> DescentTraining | TrainerTraining | _Training:
    """The run of what is raced."""
    built = contenders.as_trained(built, problem)
    if isinstance(built, Trainer):
        return TrainerTraining(problem, name, built, seed)
    if isinstance(built, Descent | Routine):
        return DescentTraining(problem, built, seed)
    return _Training(problem, name, built, seed)


class _Training:
    """One run on its way: what it has measured so far."""

    def __init__(self, problem: Problem, name: str, chain: Chain | Route, seed: int) -> None:
        self._problem, self._name, self._chain, self._seed = problem, name, chain, seed
        self._points: list[Mapping[str, float]] = []
        self._state_bytes = 0
        self._first = math.nan
        self._evaluates_apart = False
        self._pace = Pace()
        self.seconds = 0.0

    def run(self, budget: int, role: Role) -> tuple[Outcome, str]:
        """Train for as many steps as the budget is enough for, and measure on the way."""
        problem, seed = self._problem, self._seed
        model = problem.build_model(seed)
        _warm_up(self._name, problem.name, model)
        optimizer = Optimizer(model, self._chain)
        self._evaluates_apart = evaluates_apart(optimizer)
        self._pace = Pace.of(formulas(optimizer))
        points = evaluation_steps(self._pace.steps(budget), role)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._first = measure(problem, model, next(drawn(problem, seed)))["loss"]
            self._add_point(0, self._first, model, optimizer)
            batches, done = drawn(problem, seed), 0
            for until in points:
                loss = self._advance(model, optimizer, batches, range(done, until))
                self._add_point(until, loss, model, optimizer)
                done = until
        self._state_bytes = bytes_in(list(optimizer.state.values()))
        if not math.isfinite(self._points[-1]["test_loss"]):
            raise DivergedError(f"at step {points[-1]} the test loss was not finite")
        return "finished", ""

    def _advance(self, model: nn.Module, optimizer: Optimizer, batches: Iterator[Batch], steps: range) -> float:
        """Take these steps, with the clock running; the mean of their losses."""
        total, begin = 0.0, time.perf_counter()
        try:
            for step in steps:
                optimizer.zero_grad()
                loss = self._problem.loss(model, next(batches))
                value = loss.item()
                see_bounded(value, first=self._first, step=step)
                total += value
                optimizer.estimate_curvature(loss)
                loss.backward()
                optimizer.step(loss=value)
        finally:
            self.seconds += time.perf_counter() - begin
        return total / len(steps)

    def _add_point(self, step: int, loss: float, model: nn.Module, optimizer: Optimizer) -> None:
        where = optimizer.evaluating() if self._evaluates_apart else contextlib.nullcontext()
        with where, torch.random.fork_rng(devices=[]):
            scores = evaluate(self._problem, model)
            if self._problem.is_full_batch:
                scores = {"train_loss": measure(self._problem, model, self._problem.training_set)["loss"], **scores}
        paid = {} if self._pace.every is None else {"spent": self._pace.spent(step).gradients}
        self._points.append({"step": step, **paid, "seconds": self.seconds, "loss": loss, **scores})

    def final(self, outcome: Outcome) -> dict[str, float]:
        """What the run ended at; of one that did not end, that its losses are infinite."""
        judged = {"train_loss": float("inf")} if self._problem.is_full_batch else {}
        if outcome != "finished":
            return {"loss": float("inf"), **judged, "test_loss": float("inf")}
        last = {name: value for name, value in self._points[-1].items() if name not in AXES}
        steps = int(self._points[-1]["step"])
        paid = {} if self._pace.every is None else self._pace.spent(steps).record(steps=steps)
        return {**last, "state_bytes": float(self._state_bytes), **paid}

    def curve(self) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
        """The points as arrays."""
        names = self._points[0] if self._points else ("step",)
        return {name: np.array([point[name] for point in self._points], np.float64) for name in names}


_warm: set[tuple[str, str]] = set()


def _warm_up(contender: str, problem: str, model: nn.Module) -> None:
    """Let the kernels be compiled before the clock runs, by a step of a copy of the model."""
    if (contender, problem) in _warm:
        return
    chosen, trial = contenders.get(contender), copy.deepcopy(model)
    chain = cast("Chain | Route", chosen.build(chosen.default))  # the caller told the kinds apart
    for parameter in trial.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer = Optimizer(trial, chain)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.take_curvature([torch.zeros_like(parameter) for parameter in parameters])
    optimizer.step(loss=0.0)
    _warm.add((contender, problem))
