"""The factors of all layers: estimated, averaged, inverted, kept and saved."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.descent.kronecker.capture import Use, shared
from thalweg.descent.kronecker.factors import Sums, averaged, terms_of
from thalweg.descent.kronecker.inverses import decomposed, factored
from thalweg.descent.kronecker.predictions import read_prediction
from thalweg.errors import CheckpointError
from thalweg.optimizer.averaging import are_several, mean_over_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from thalweg.descent.kronecker.layers import Layer
    from thalweg.descent.kronecker.settings import Settings

_FIRST = 3
"""So many steps at the start all have inverses of their own: Martens and Grosse 2015, Algorithm 2."""


def is_finite(value: Tensor) -> bool:
    """Whether all of it is, in one pass."""
    return value.numel() == 0 or bool(torch.isfinite(torch.linalg.vector_norm(value, torch.inf)))


class Estimates:
    """What is known of each layer: `kept` holds `A`, `G` and what solves with them, by the layer's name."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.steps = 0
        self.kept: dict[str, dict[str, Tensor]] = {}
        self.counts: Counter[str] = Counter()
        self._sums: dict[str, Sums] = {}
        self._passes = 0

    @property
    def is_due(self) -> bool:
        """Whether this step takes a new estimate."""
        return self.steps % self.settings.every == 0

    @property
    def is_begun(self) -> bool:
        """Whether this step has one."""
        return self._passes > 0

    def observe(self, loss: Tensor, outputs: Tensor, uses: Sequence[Use]) -> int:
        """Estimate the factors of a pass from its predictions; gives how many backward passes that took.

        The graph is kept. Raises `CurvatureError`.
        """
        with torch.autocast(outputs.device.type, enabled=False):
            return self._observe(loss, outputs, uses)

    def _observe(self, loss: Tensor, outputs: Tensor, uses: Sequence[Use]) -> int:
        prediction = read_prediction(loss, outputs)
        if self.settings.fisher == "gauss_newton":
            vectors = prediction.roots()
        else:
            drawn = np.random.SeedSequence([self.settings.seed, self.steps, self._passes]).generate_state(1, np.uint64)
            generator = torch.Generator(outputs.device).manual_seed(int(drawn[0]) >> 1)
            scale = self.settings.samples**-0.5
            vectors = (scale * prediction.sample(generator) for _ in range(self.settings.samples))
        self._passes += 1
        begun: set[str] = set()
        passes = 0
        for vector in vectors:
            passes += 1
            edges = [use.edge for use in uses]
            found = torch.autograd.grad(outputs, edges, vector, retain_graph=True, allow_unused=True) if edges else ()
            living = [(use, slope) for use, slope in zip(uses, found, strict=True) if slope is not None]  # pyright: ignore[reportUnnecessaryComparison]
            several = Counter(use.layer.name for use, _ in living)
            for use, slope in living:
                if several[use.layer.name] > 1:
                    raise shared(use.layer)
                sums = self._sums.setdefault(use.layer.name, Sums())
                if use.layer.name not in begun:
                    sums.add_inputs(use.layer, use.given, self.settings.sharing)
                sums.add_slopes(use.layer, slope.reshape(use.shape), self.settings.sharing)
            begun |= several.keys()
        return passes

    @torch.no_grad()
    def observe_slope(self, use: Use, slope: Tensor) -> None:
        """Take the loss's own derivative by what a layer gave, for the empirical Fisher matrix."""
        with torch.autocast(slope.device.type, enabled=False):
            self._passes += 1
            sums = self._sums.setdefault(use.layer.name, Sums())
            sums.add_inputs(use.layer, use.given, self.settings.sharing)
            terms = terms_of(use.layer, slope, self.settings.sharing)
            sums.add_slopes(use.layer, slope, self.settings.sharing, weight=terms)

    def refusal(self, layers: Sequence[Layer]) -> str | None:
        """Why what this step has observed cannot be taken; None if it can."""
        for layer in layers:
            own = self._sums.get(layer.name)
            if own is None or own.is_empty:
                continue
            for key, of in (("A", "what it was given"), ("G", "the slopes of what it gave")):
                if not is_finite(getattr(own, key)):
                    return (
                        f"layer `{layer.name}`: its factor {key} has a NaN or an infinity, from {of}; look at the data "
                        "and the loss (pass nonfinite='skip' to leave out such steps)"
                    )
        return None

    @torch.no_grad()
    def update(self, layers: Sequence[Layer], damping: Mapping[str, float], *, scale: float = 1.0) -> None:
        """Average what has been observed, and invert where that is due; slopes were `scale` times too large.

        Raises `CurvatureError` for what is singular; the factors are then as they were.
        """
        sums, self._sums, self._passes = self._sums, {}, 0
        fresh: dict[str, dict[str, Tensor]] = {}
        for layer in layers:
            own = sums.get(layer.name)
            if own is None or own.is_empty:
                continue
            pair = {"A": own.A, "G": own.G if scale == 1 else own.G / scale**2}
            if are_several():
                pair = {key: mean_over_processes(S) for key, S in pair.items()}
            count = self.counts[layer.name] + 1
            before = self.kept.get(layer.name, {})
            fresh[layer.name] = {
                key: averaged(before.get(key), S, count, self.settings.decay) for key, S in pair.items()
            }
        self._invert(layers, fresh, damping)
        for name, pair in fresh.items():
            self.counts[name] += "A" in pair
            self.kept[name] = self.kept.get(name, {}) | pair

    def _invert(
        self, layers: Sequence[Layer], fresh: dict[str, dict[str, Tensor]], damping: Mapping[str, float]
    ) -> None:
        """Add to what is fresh the inverses that are due."""
        known = {layer.name: self.kept.get(layer.name, {}) | fresh.get(layer.name, {}) for layer in layers}
        is_due = self.steps % self.settings.inverse_every == 0 or self.steps < _FIRST
        wanted = {
            name: (pair["A"], pair["G"])
            for name, pair in known.items()
            if "A" in pair and (is_due or not pair.keys() & {"A_inverse", "A_values"})
        }
        made = factored(wanted, damping) if self.settings.tikhonov == "factored" else decomposed(wanted)
        for name, inverses in made.items():
            fresh[name] = fresh.get(name, {}) | inverses

    def forget(self) -> None:
        """Drop what this step has observed."""
        self._sums, self._passes = {}, 0

    def state(self) -> dict[str, Any]:
        """All of it as plain values and tensors."""
        layers = {name: {"count": self.counts[name], **kept} for name, kept in self.kept.items()}
        return {"steps": self.steps, "layers": layers}

    def reads(self, state: Mapping[str, Any], layers: Sequence[Layer]) -> Callable[[], None]:
        """What takes over what `state` gave, when it is called. Raises `CheckpointError` if it does not fit."""
        known = {layer.name: layer for layer in layers}
        saved: dict[str, dict[str, Any]] = state.get("layers", {})
        strangers = [name for name in saved if name not in known]
        if strangers:
            raise CheckpointError(f"the state has factors of {', '.join(strangers)}, which this model's K-FAC has not")
        for name, entries in saved.items():
            n, m = known[name].sizes
            for key, side in (("A", n), ("G", m)):
                wanted = (known[name].blocks, side, side)
                found = entries.get(key)
                if not isinstance(found, torch.Tensor) or tuple(found.shape) != wanted:
                    raise CheckpointError(f"the factor {key} of `{name}` must be a tensor of shape {wanted}")

        def take() -> None:
            self.forget()
            self.steps = int(state.get("steps", 0))
            self.counts = Counter({name: int(entries["count"]) for name, entries in saved.items()})
            self.kept = {
                name: {
                    key: value.to(known[name].weight.device, copy=True)
                    for key, value in entries.items()
                    if key != "count"
                }
                for name, entries in saved.items()
            }

        return take
