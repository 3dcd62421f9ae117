from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from thalweg import surfaces
from thalweg.lab import contenders
from thalweg.lab.contest import Task
from thalweg.lab.descend import descend, draw_starts, kept_steps
from thalweg.lab.entries import SurfaceReference
from thalweg.lab.surface_runs import describe_surface, run_on_surface
from thalweg.surfaces import Surface, quadratic

GD = contenders.get("gradient_descent")
HERE = torch.tensor([[10.0, 1.0]], dtype=torch.float64)


def every(steps: int) -> np.ndarray:
    return np.arange(steps + 1)


def test_gradient_descent_at_its_best_rate_contracts_by_the_closed_form() -> None:
    found = descend(quadratic(), GD, [2 / 101], HERE, steps=60, keep=every(60))
    ratios = found.losses[1:, 0, 0] / found.losses[:-1, 0, 0]
    assert ratios == pytest.approx(np.full(60, (99 / 101) ** 2), rel=1e-9)


def test_gradient_descent_dies_beyond_two_over_the_largest_eigenvalue() -> None:
    found = descend(quadratic(), GD, [0.0199, 0.0201], HERE, steps=5_000, keep=kept_steps(5_000))
    assert found.diverged_at[0, 0] == -1
    growth = math.log(1e6) / math.log(0.0201 * 100 - 1)
    assert found.diverged_at[1, 0] == pytest.approx(growth, abs=2)
    assert found.final_loss[1, 0] == math.inf


CLIPPED = "chain(clip(1.0), sophia(), step(lr))"
IRPROP_PLUS = "chain(rprop(delta0=lr, form='irprop+'))"


@pytest.mark.parametrize("name", ["adam", "full_matrix_adagrad", IRPROP_PLUS, "sophia", "esgd", "vsgd", CLIPPED])
def test_trials_and_seeds_run_together_as_each_would_alone(name: str) -> None:
    beale, contender = surfaces.get("beale"), contenders.get(name)
    rates, starts = [0.01, 0.1, 1.0], draw_starts(surfaces.get("beale"), (2.0, -2.0), [1, 2], spread=0.02)
    together = descend(beale, contender, rates, starts, steps=50, keep=every(50))
    for i, rate in enumerate(rates):
        for j in range(2):
            alone = descend(beale, contender, [rate], starts[j : j + 1], steps=50, keep=every(50))
            assert together.places[:, i, j] == pytest.approx(alone.places[:, 0, 0], rel=1e-10)


def test_a_chain_that_steps_by_the_curvature_is_given_the_exact_one() -> None:
    newton = contenders.get("chain(sophia(beta1=0.0, beta2=0.0, gamma=lr), step(1000.0))")
    found = descend(quadratic(), newton, [1e3], HERE, steps=1, keep=every(1))
    assert found.losses[1, 0, 0] == pytest.approx(0, abs=1e-20)


def test_a_diverged_run_disturbs_none_beside_it() -> None:
    rosenbrock = surfaces.get("rosenbrock")
    start = torch.tensor([[-1.2, 1.0]], dtype=torch.float64)
    mixed = descend(rosenbrock, contenders.get("heavy_ball"), [1e-4, 10.0], start, steps=80, keep=every(80))
    alone = descend(rosenbrock, contenders.get("heavy_ball"), [1e-4], start, steps=80, keep=every(80))
    assert mixed.diverged_at[:, 0].tolist() == [-1, pytest.approx(3, abs=2)]
    assert mixed.losses[:, 0] == pytest.approx(alone.losses[:, 0], rel=1e-10)


def test_a_path_is_the_one_worked_out_by_hand() -> None:
    found = descend(quadratic(), GD, [0.01], HERE, steps=2, keep=every(2))
    assert found.places[:, 0, 0] == pytest.approx(np.array([[10.0, 1.0], [9.9, 0.0], [9.801, 0.0]]))
    assert found.losses[:, 0, 0].tolist() == pytest.approx([100.0, 49.005, 48.0298005])
    gaps = [49.005, 48.0298005]
    assert found.mean_log_gap[0, 0] == pytest.approx(np.mean(np.log10(gaps)))


def test_the_step_at_which_the_minimum_is_reached_is_kept() -> None:
    found = descend(quadratic(condition=1.0), GD, [0.5], HERE, steps=40, keep=every(40))
    first = next(k for k in range(41) if 50.5 * 0.25**k <= 1e-6)
    assert found.reached_at.tolist() == [[first]]
    unreached = descend(quadratic(condition=1.0), GD, [0.5], HERE, steps=first - 1, keep=every(first - 1))
    assert unreached.reached_at.tolist() == [[-1]]


def test_a_start_that_is_nowhere_has_diverged_at_once() -> None:
    found = descend(quadratic(), GD, [0.01], torch.tensor([[math.nan, 1.0]]), steps=9, keep=every(9))
    assert found.diverged_at.tolist() == [[0]]


def test_starts_are_drawn_around_the_named_one_and_are_the_seeds_own() -> None:
    surface = surfaces.get("beale")
    starts = draw_starts(surface, (2.0, -2.0), range(4_000), spread=0.02).numpy()
    sides = np.array([high - low for low, high in surface.window])
    assert starts.mean(axis=0) == pytest.approx([2.0, -2.0], abs=0.01)
    assert starts.std(axis=0) == pytest.approx(0.02 * sides, rel=0.05)
    again = draw_starts(surface, (2.0, -2.0), [7, 3], spread=0.02).numpy()
    assert again.tolist() == starts[[7, 3]].tolist()


def test_a_short_curve_keeps_every_step_and_a_long_one_some_hundred() -> None:
    assert kept_steps(150).tolist() == list(range(151))
    kept = kept_steps(10_000)
    assert (kept[0], kept[1], kept[-1]) == (0, 1, 10_000)
    assert 90 <= len(kept) <= 125


def task(role: str, *, seeds: tuple[int, ...], rate: float = 0.01, steps: int = 300) -> Task:
    reference = SurfaceReference("quadratic", (10.0, 1.0), "quadratic")
    return Task(reference, "gradient_descent", role, ((2, rate), (3, 10.0)), seeds, steps)


def test_a_tuning_task_becomes_one_record_for_each_trial_and_seed() -> None:
    runs = run_on_surface(task("tuning", seeds=(1000, 1001)))
    assert [(run.trial, run.seed, run.outcome) for run in runs] == [
        (2, 1000, "finished"),
        (2, 1001, "finished"),
        (3, 1000, "diverged"),
        (3, 1001, "diverged"),
    ]
    sound, _, lost, _ = runs
    assert sound.chain == "chain(gradient_descent(), step(0.01))"
    assert sound.tuned == {"lr": 0.01}
    assert (sound.budget, sound.data_order) == (300, None)
    assert sound.curve.keys() == {"step", "loss"}
    assert sound.curve["step"].tolist() == kept_steps(300).tolist()
    assert sound.final["loss"] == sound.curve["loss"][-1]
    assert lost.final["loss"] == math.inf
    assert lost.final["steps_to_target"] == math.inf
    assert lost.message == "at step 3 the loss or the gradient was not finite, or a coordinate beyond ±1e+06"
    assert lost.curve["step"].tolist() == [0, 1, 2]


def test_the_finals_bring_the_named_starts_path_step_by_step() -> None:
    *finals, path, _ = run_on_surface(task("final", seeds=(0, 1)))[:4]
    assert [run.role for run in (*finals, path)] == ["final", "final", "path"]
    x = 10 * 0.99 ** np.arange(301)
    assert path.curve["step"].tolist() == list(range(301))
    assert path.curve["x"] == pytest.approx(x)
    assert path.curve["y"] == pytest.approx(np.eye(301)[0])
    assert path.curve["loss"] == pytest.approx((x**2 + 100 * np.eye(301)[0]) / 2)


def test_a_surface_is_described_with_all_that_a_picture_needs() -> None:
    spec = describe_surface(SurfaceReference("beale", (2.0, -2.0), "beale (2, -2)"), steps=10)
    assert spec["surface"] == "beale"
    assert spec["start"] == [2.0, -2.0]
    assert spec["minima"] == [{"x": [3.0, 0.5], "value": 0.0, "is_global": True}]
    assert {"x": [0.0, 1.0], "value": 14.203125} in spec["saddles"]
    assert isinstance(surfaces.get("beale"), Surface)
    assert {"window", "formula", "remark", "source", "start_spread", "steps"} <= spec.keys()
