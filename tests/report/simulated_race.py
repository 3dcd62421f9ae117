"""A race as the records tell it, run by hand in NumPy: for tests of what is drawn from records."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg import surfaces
from thalweg.lab.records import ChoiceRecord, ProblemRecord, RaceRecord, RunRecord
from thalweg.lab.scoring import score_runs
from thalweg.lab.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

Array = "NDArray[np.float64]"

OPTIMIZERS = (
    "gradient_descent",
    "heavy_ball",
    "nesterov",
    "rprop",
    "adagrad",
    "rmsprop",
    "rmsprop_momentum",
    "adadelta",
    "adam",
    "adamax",
    "adamw",
)
CENTRES = {"adadelta": 1.0, "adagrad": 0.1, "rprop": 0.01}
GRADIENTS = {
    "beale": lambda x: _gradient_of_beale(*x.tolist()),
    "quadratic": lambda x: np.array([1.0, 100.0]) * x,
}
"""By hand, since torch's function transforms take a hundred times as long for one point."""
CREATED = "2026-03-14T15:09:26+00:00"
FINISHED = "2026-03-14T15:13:38+00:00"


def _gradient_of_beale(x: float, y: float) -> Array:
    a, b, c = 1.5 - x + x * y, 2.25 - x + x * y * y, 2.625 - x + x * y * y * y
    return np.array(
        [
            2 * a * (y - 1) + 2 * b * (y * y - 1) + 2 * c * (y * y * y - 1),
            2 * x * (a + 2 * y * b + 3 * y * y * c),
        ]
    )


def descend(name: str, rate: float, gradient: Callable, start: Array, steps: int) -> Iterator[Array]:
    """The points that an optimizer of that name goes through."""
    x, first, second, third = start.copy(), np.zeros_like(start), np.zeros_like(start), np.full_like(start, rate)
    yield x.copy()
    for k in range(1, steps + 1):
        g = gradient(x)
        if name == "gradient_descent":
            x = x - rate * g
        elif name in {"heavy_ball", "nesterov"}:
            first = 0.9 * first - rate * g
            x = x + first if name == "heavy_ball" else x + 0.9 * first - rate * g
        elif name == "rprop":
            third = np.clip(third * np.where(g * second > 0, 1.2, np.where(g * second < 0, 0.5, 1.0)), 1e-6, 50)
            x, second = x - np.sign(g) * third, g
        elif name == "adagrad":
            second = second + g**2
            x = x - rate * g / (np.sqrt(second) + 1e-10)
        elif name == "adadelta":
            second = 0.95 * second + 0.05 * g**2
            d = np.sqrt(first + 1e-6) / np.sqrt(second + 1e-6) * g
            first = 0.95 * first + 0.05 * d**2
            x = x - rate * d
        elif name in {"rmsprop", "rmsprop_momentum"}:
            second = 0.9 * second + 0.1 * g**2
            d = g / (np.sqrt(second) + 1e-8)
            first = 0.9 * first + d if name == "rmsprop_momentum" else d
            x = x - rate * first
        else:
            first = 0.9 * first + 0.1 * g
            second = np.maximum(0.999 * second, np.abs(g)) if name == "adamax" else 0.999 * second + 0.001 * g**2
            root = second if name == "adamax" else np.sqrt(second / (1 - 0.999**k))
            x = x - rate * first / (1 - 0.9**k) / (root + 1e-8) - (rate * 0.01 * x if name == "adamw" else 0)
        yield x.copy()


def simulate(
    path: Path,
    *,
    surface_starts: tuple[tuple[str, int], ...] = (("beale", 0), ("quadratic", 0)),
    training: tuple[str, ...] = ("blobs",),
    optimizers: tuple[str, ...] = OPTIMIZERS,
    steps: int = 200,
    trials: int = 7,
    seeds: int = 5,
    finished: bool = True,
) -> Store:
    """A store with one race; if not `finished`, its last problem and two optimizers' fresh seeds are missing."""
    store = open_store(path)
    problems = [_surface_record(name, start, steps) for name, start in surface_starts]
    problems += [_training_record(name) for name in training]
    race = store.begin_race(
        RaceRecord(
            id=0,
            key="simulated",
            created=CREATED,
            finished=FINISHED if finished else None,
            schema_version=1,
            command="thalweg race beale quadratic blobs --seeds 5",
            settings={
                "problems": [problem.name for problem in problems],
                "optimizers": list(optimizers),
                "chains": {name: f"chain({name}(), step(0.01))" for name in optimizers},
                "tuned": {name: next(iter(_tuned(name, 1.0)), None) for name in optimizers},
                "grids": {problem.name: {name: _rates(name, trials) for name in optimizers} for problem in problems},
                "seeds": {problem.name: {"tuning": [1000, 1001], "final": list(range(seeds))} for problem in problems},
                "steps": {problem.name: steps for problem in problems},
                "criterion": {"surface": "a smaller gap", "training": "a smaller test loss"},
            },
            machine={"cpu": "a processor <of> its own", "cores": 2, "memory_gib": 16.0, "system": "Linux"},
            versions={"python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6", "numba": "0.61", "thalweg": "0.1.0"},
            source={"file": "blobs.py", "commit": "0123abc", "dirty": True, "sha256": "ab" * 32},
        ),
        problems,
    )
    for problem in problems if finished else problems[:-1]:
        for number, name in enumerate(optimizers):
            with_finals = finished or number < len(optimizers) - 2
            _race_one(store, race, problem, name, steps, trials, range(seeds), with_finals=with_finals)
    return store


def _race_one(
    store: Store,
    race: RaceRecord,
    problem: ProblemRecord,
    name: str,
    steps: int,
    trials: int,
    seeds: range,
    *,
    with_finals: bool,
) -> None:
    rates = _rates(name, trials)
    run = _surface_run if problem.kind == "surface" else _training_run
    tuning = [
        run(problem, name, rate, "tuning", trial, seed, steps)
        for trial, rate in enumerate(rates)
        for seed in (1000, 1001)
    ]
    store.add_runs(race, tuning)
    scores = {trial: score_runs([r for r in tuning if r.trial == trial]) for trial in range(trials)}
    best = min(scores, key=lambda trial: (scores[trial], trial))
    if math.isinf(scores[best].value):
        store.put_choice(race, _choice(problem, name, None, {}, math.inf, None, trials))
        return
    finals = [run(problem, name, rates[best], "final", best, seed, steps) for seed in seeds] if with_finals else []
    if problem.kind == "surface" and with_finals:
        finals.append(run(problem, name, rates[best], "path", best, 0, steps))
    store.add_runs(race, finals)
    fresh = score_runs([r for r in finals if r.role == "final"]).value if with_finals else None
    store.put_choice(race, _choice(problem, name, best, _tuned(name, rates[best]), scores[best].value, fresh, trials))


def _choice(
    problem: ProblemRecord,
    name: str,
    trial: int | None,
    tuned: dict[str, float],
    score: float,
    fresh: float | None,
    trials: int,
) -> ChoiceRecord:
    return ChoiceRecord(
        problem=problem.name,
        optimizer=name,
        trial=trial,
        tuned=tuned,
        score=score,
        final_score=fresh,
        on_edge=trial in {0, trials - 1},
        trials=trials,
        extensions=0,
        why=f"the best of {trials} rates" if tuned else f"every one of {trials} rates diverged",
    )


def _rates(name: str, trials: int) -> list[float]:
    centre = CENTRES.get(name, 0.01)
    return [float(f"{centre * 10 ** ((trial - trials // 2) / 2):.3g}") for trial in range(trials)]


def _tuned(name: str, rate: float) -> dict[str, float]:
    """What was tuned of an optimizer: nothing, if its name is a chain that was typed whole."""
    return {} if "(" in name else {"delta0" if name == "rprop" else "lr": rate}


def _surface_record(name: str, start: int, steps: int) -> ProblemRecord:
    surface = surfaces.get(name)
    x, y = surface.starts[start]
    return ProblemRecord(
        name=f"{name} ({x:g}, {y:g})",
        kind="surface",
        title=surface.title,
        spec={
            "surface": name,
            "start": [x, y],
            "start_spread": [0.02 * (high - low) for low, high in surface.window],
            "steps": steps,
            "window": [list(side) for side in surface.window],
            "minima": [{"x": list(p.x), "value": p.value, "is_global": p.is_global} for p in surface.minima],
            "saddles": [{"x": list(p.x), "value": p.value} for p in surface.saddles],
            "formula": surface.formula,
            "source": surface.source,
            "remark": surface.remark,
        },
    )


def _surface_run(
    problem: ProblemRecord, name: str, rate: float, role: str, trial: int, seed: int, steps: int
) -> RunRecord:
    surface = surfaces.get(str(problem.spec["surface"]))
    start = np.array(problem.spec["start"], np.float64)
    if role != "path":
        start = start + np.array(problem.spec["start_spread"]) * np.random.default_rng(seed).standard_normal(2)

    gradient = GRADIENTS[surface.name]
    with np.errstate(all="ignore"):
        points = np.array(list(descend(name, rate, gradient, start, steps)))
        values = surface.function(torch.from_numpy(points)).numpy()
    lost = ~(np.isfinite(values) & (np.abs(points) <= 1e6).all(axis=1))
    ends = int(np.argmax(lost)) if lost.any() else steps + 1
    lowest = min(p.value for p in surface.minima)
    gaps = np.maximum(values[:ends] - lowest, 0)
    there = np.flatnonzero(gaps <= 1e-6)
    final = {
        "loss": math.inf if lost.any() else float(values[-1]),
        "gap": math.inf if lost.any() else float(gaps[-1]),
        "mean_log_gap": float(np.log10(np.maximum(gaps, 1e-6)).mean()),
        "steps_to_target": float(there[0]) if there.size else math.inf,
    }
    keep = (
        np.arange(ends) if role == "path" else np.unique(np.round(np.geomspace(1, ends, min(ends, 80))).astype(int) - 1)
    )
    curve = {"step": keep.astype(float), "loss": values[keep]}
    if role == "path":
        curve |= {"x": points[keep, 0], "y": points[keep, 1]}
    return RunRecord(
        problem=problem.name,
        optimizer=name,
        chain=f"chain({name}(), step({rate:g}))",
        tuned=_tuned(name, rate),
        role=role,
        trial=trial,
        seed=seed,
        data_order=None,
        budget=steps,
        outcome="diverged" if lost.any() else "finished",
        message=f"at step {ends} the loss was not finite" if lost.any() else "",
        started=CREATED,
        seconds=0.01,
        final=final,
        curve=curve,
    )


def _training_record(name: str) -> ProblemRecord:
    return ProblemRecord(
        name=name,
        kind="training",
        title=f"Logistic regression on {name}",
        spec={
            "title": f"Logistic regression on {name}",
            "n_train": 600,
            "n_test": 400,
            "parameters": 21,
            "batch_size": 20,
            "steps": 200,
            "data_order": "reshuffled",
            "metrics": ["accuracy"],
            "target": None,
            "rates": {},
            "source": "simulated",
            "remark": "Two clouds of points, told apart by a line.",
            "provenance": "drawn from two normal distributions",
        },
    )


def _training_run(
    problem: ProblemRecord, name: str, rate: float, role: str, trial: int, seed: int, steps: int
) -> RunRecord:
    data = np.random.default_rng(7)
    spread = np.logspace(-1, 1, 20)
    labels = data.integers(2, size=1000)
    inputs = (data.standard_normal((1000, 20)) + np.outer(2 * labels - 1, np.full(20, 0.35))) * spread
    order = np.random.default_rng(seed)
    log: dict[str, list[float]] = {key: [] for key in ("step", "seconds", "loss", "test_loss", "accuracy")}
    recent: list[float] = []

    def loss_and_gradient(w: Array, rows: NDArray[np.int64]) -> tuple[float, Array]:
        margin = inputs[rows] @ w[:20] + w[20]
        residual = 1 / (1 + np.exp(-margin)) - labels[rows]
        loss = float(np.mean(np.logaddexp(0, margin) - labels[rows] * margin))
        return loss, np.append(residual @ inputs[rows], residual.sum()) / len(rows)

    def gradient(w: Array) -> Array:
        loss, slope = loss_and_gradient(w, order.integers(600, size=20))
        recent.append(loss)
        return slope

    outcome, message = "finished", ""
    with np.errstate(all="ignore"):
        for step, w in enumerate(descend(name, rate, gradient, 0.1 * order.standard_normal(21), steps)):
            if step % max(1, steps // 20):
                continue
            test_loss, _ = loss_and_gradient(w, np.arange(600, 1000))
            loss = float(np.mean(recent)) if recent else test_loss
            recent.clear()
            if not np.isfinite(test_loss) or test_loss > 100:
                outcome, message = "diverged", f"at step {step} the loss was {test_loss:.3g}"
                break
            accuracy = float(np.mean((inputs[600:] @ w[:20] + w[20] > 0) == labels[600:]))
            row = {"step": step, "seconds": 1e-4 * step, "loss": loss, "test_loss": test_loss, "accuracy": accuracy}
            for key, value in row.items():
                log[key].append(value)
    final = {key: log[key][-1] for key in ("loss", "test_loss", "accuracy")}
    if outcome == "diverged":
        final = {"loss": math.inf, "test_loss": math.inf}
    return RunRecord(
        problem=problem.name,
        optimizer=name,
        chain=f"chain({name}(), step({rate:g}))",
        tuned=_tuned(name, rate),
        role=role,
        trial=trial,
        seed=seed,
        data_order="reshuffled",
        budget=steps,
        outcome=outcome,
        message=message,
        started=CREATED,
        seconds=1e-4 * steps,
        final=final,
        curve={key: np.array(values) for key, values in log.items()},
    )
