"""How one optimizer's trials and seeds run down a surface: all of them at once, in float64.

Every trial is a parameter group with its own rate, every seed a row of its parameter, so that a step of all
of them costs about what one step costs. Where a chain looks at more than each element alone (a norm, a mean),
every run is a model of its own and has an optimizer of its own.

A chain that steps by the curvature is given the exact one, as often as its rule wants it.

What is measured is the point that evaluation is to see: an average, if the chain keeps one.

The search space has no walls. A run has diverged where the loss or the gradient is not finite, or a
coordinate is further out than `BOUND`; it is taken out of the race there.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from thalweg.kernels import plan
from thalweg.lab.scoring import TARGET_GAP
from thalweg.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from thalweg.chain import Chain
    from thalweg.formula import CurvatureSlot
    from thalweg.lab.contenders import Contender
    from thalweg.surfaces import Surface

BOUND = 1e6
DENSE_STEPS = 200
POINTS = 61


@dataclass(frozen=True, kw_only=True)
class Runs:
    """What became of the runs: arrays by trial and seed, and what was kept along the way by point.

    `kept` are the steps at which `losses` and `places` were kept. `diverged_at` is the step at which a run
    was found to have diverged, or −1; `reached_at` the first step within `TARGET_GAP` of the lowest
    minimum, or −1.
    """

    kept: NDArray[np.int64]
    losses: NDArray[np.float64]
    places: NDArray[np.float64]
    diverged_at: NDArray[np.int64]
    reached_at: NDArray[np.int64]
    mean_log_gap: NDArray[np.float64]
    final_loss: NDArray[np.float64]


def lowest_value(surface: Surface) -> float:
    """The value that gaps are measured from: the lowest minimum's."""
    return min(point.value for point in surface.minima)


def draw_starts(surface: Surface, start: Sequence[float], seeds: Sequence[int], *, spread: float) -> Tensor:
    """One start a seed, normally distributed around the named one, by `spread` times the window's sides.

    A seed's draw is the same for every optimizer, and for every surface but for the window's size.
    """
    sides = np.array([high - low for low, high in surface.window])
    draws = np.array([np.random.default_rng(seed).standard_normal(surface.dimension) for seed in seeds])
    return torch.from_numpy(np.asarray(start, np.float64) + spread * sides * draws)


def kept_steps(steps: int) -> NDArray[np.int64]:
    """The steps whose loss a curve keeps: all of a short run, else some hundred, denser at the beginning."""
    if steps <= DENSE_STEPS:
        return np.arange(steps + 1)
    points = np.concatenate([[0], np.geomspace(1, steps, POINTS), np.linspace(0, steps, POINTS)])
    return np.unique(np.rint(points).astype(np.int64))


def descend(
    surface: Surface,
    contender: Contender,
    rates: Sequence[float],
    starts: Tensor,
    *,
    steps: int,
    keep: NDArray[np.int64],
) -> Runs:
    """Run every rate from every start, `(seeds, dimension)`, for so many steps, of which `keep` are kept."""
    begin = starts.to(torch.float64).expand(len(rates), *starts.shape).contiguous()
    place = begin.clone()
    slope = torch.zeros_like(place)
    chains = [cast("Chain", contender.build(rate)) for rate in rates]  # a race refuses routes on surfaces
    optimizers = _optimizers(chains, place, slope)
    uses_loss = any(traced.uses_loss for traced in chains[0].traces())
    estimate = next((t.curvature for t in chains[0].traces() if t.curvature is not None), None)
    moves_to_evaluate = any(traced.evaluation is not None for traced in chains[0].traces())
    log = _Log(surface, tuple(place.shape[:2]), steps, keep)
    for k in range(steps + 1):
        point = place.detach().requires_grad_()
        loss = surface.function(point)
        (gradient,) = torch.autograd.grad(loss.sum(), point)
        seen, value = point.detach(), loss.detach()
        if moves_to_evaluate:
            seen = _evaluated(optimizers, place)
            value = surface.function(seen)
        alive = log.write(k, seen, value, gradient)
        if k == steps or not alive.any():
            break
        slope.copy_(torch.where(alive[..., None], gradient, 0.0))
        if estimate is not None and k % estimate.every == 0:
            _give_curvature(optimizers, surface, point.detach(), estimate)
        losses = loss.flatten().tolist() if uses_loss else [None] * len(optimizers)
        for optimizer, own in zip(optimizers, losses, strict=True):
            optimizer.step(loss=own)
        if not alive.all():
            place.copy_(torch.where(alive[..., None], place, begin))
    return log.runs()


def _optimizers(chains: Sequence[Chain], place: Tensor, slope: Tensor) -> list[Optimizer]:
    """What steps all runs, by trial and seed, with gradients from `slope`."""
    if any(_sees_more_than_elements(chain) for chain in chains):
        runs = np.ndindex(*place.shape[:2])
        return [
            Optimizer([_with_gradient(place[run], slope[run])], chains[run[0]], nonfinite="propagate") for run in runs
        ]
    groups = [{"params": [_with_gradient(place[at], slope[at])], "chain": chain} for at, chain in enumerate(chains)]
    return [Optimizer(groups, chains[0], nonfinite="propagate")]


def _sees_more_than_elements(chain: Chain) -> bool:
    """Whether what becomes of an element depends on the others of its tensor."""
    reduces = any(plan(traced).levels for traced in chain.traces())
    return reduces or chain.depends_on_shape or bool(chain.wholes)


def _with_gradient(rows: Tensor, gradient: Tensor) -> Tensor:
    rows.requires_grad_()
    rows.grad = gradient
    return rows


def _give_curvature(optimizers: Sequence[Optimizer], surface: Surface, point: Tensor, estimate: CurvatureSlot) -> None:
    """Give the optimizers the curvature as it is, and not as draws would estimate it.

    Of a product with a random vector, that is the root of the mean of its square: the length of the Hessian's row.
    """
    hessian = surface.hessian(point)
    exact = hessian.diagonal(dim1=-2, dim2=-1) if estimate.kind == "diagonal" else hessian.norm(dim=-1)
    rest = exact.reshape(-1)
    for optimizer in optimizers:
        parameters: list[Tensor] = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        *parts, rest = rest.split([*(p.numel() for p in parameters), len(rest) - sum(p.numel() for p in parameters)])
        optimizer.take_curvature([part.reshape(p.shape) for part, p in zip(parts, parameters, strict=True)])


def _evaluated(optimizers: Sequence[Optimizer], place: Tensor) -> Tensor:
    with contextlib.ExitStack() as moved:
        for optimizer in optimizers:
            moved.enter_context(optimizer.evaluating())
        return place.detach().clone()


class _Log:
    """Keeps what the records need of all runs, while they run."""

    def __init__(self, surface: Surface, runs: tuple[int, ...], steps: int, keep: NDArray[np.int64]) -> None:
        self._lowest = lowest_value(surface)
        self._steps = steps
        self._kept = keep
        self._losses = np.full((len(keep), *runs), np.nan)
        self._places = np.full((len(keep), *runs, surface.dimension), np.nan)
        self._diverged_at = np.full(runs, -1)
        self._reached_at = np.full(runs, -1)
        self._log_gaps = np.zeros(runs)
        self._last = np.full(runs, np.nan)
        self._next = 0

    def write(self, step: int, place: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
        """Take note of one step; the answer says which runs are still alive."""
        x, f = place.numpy(), loss.numpy()
        sound = np.isfinite(f) & np.isfinite(gradient.numpy()).all(-1) & (np.abs(x) <= BOUND).all(-1)
        alive = (self._diverged_at < 0) & sound
        self._diverged_at[(self._diverged_at < 0) & ~sound] = step
        gap = np.where(alive, f - self._lowest, np.inf)
        self._reached_at[(self._reached_at < 0) & (gap <= TARGET_GAP)] = step
        if step:
            self._log_gaps += np.log10(np.maximum(gap, TARGET_GAP))
        self._last = np.where(alive, f, np.inf)
        if self._next < len(self._kept) and self._kept[self._next] == step:
            self._losses[self._next][alive] = f[alive]
            self._places[self._next][alive] = x[alive]
            self._next += 1
        return torch.from_numpy(alive)

    def runs(self) -> Runs:
        """All of it."""
        return Runs(
            kept=self._kept,
            losses=self._losses,
            places=self._places,
            diverged_at=self._diverged_at,
            reached_at=self._reached_at,
            mean_log_gap=self._log_gaps / max(1, self._steps),
            final_loss=self._last,
        )
