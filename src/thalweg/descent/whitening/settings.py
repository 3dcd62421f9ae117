"""What PRONG's options may be, and which chains step coordinates that change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from thalweg.descent.whitening.coordinates import Turn
from thalweg.errors import ChainError, HyperparameterError, did_you_mean
from thalweg.formula import Stage

if TYPE_CHECKING:
    from thalweg.chain import Chain

Form: TypeAlias = Literal["prong", "prong+"]
Momentum: TypeAlias = Literal["reset", "transform", "keep"]
_VELOCITIES = frozenset(
    ("heavy_ball", "nesterov", "gradient_descent", "normalised_descent", "sign_descent", "decay", "decoupled_decay")
) | {"l1", "soft_threshold", "clip", "clip_value", "skip_nonfinite"}
"""Rules and stages that keep a velocity and nothing else of a parameter's shape, or nothing at all."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How coordinates are estimated and changed. Raises `HyperparameterError`."""

    form: Form
    every: int
    window: int
    epsilon: float
    whitening: Turn
    momentum: Momentum

    def __post_init__(self) -> None:
        for name in ("every", "window"):
            value: object = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise HyperparameterError(f"prong: `{name}` is {value!r}; it must be a whole number from 1")
        if self.window > self.every:
            raise HyperparameterError(
                f"prong: `window` is {self.window}, and coordinates are for {self.every} steps; give at most that"
            )
        if not (isinstance(self.epsilon, int | float) and 0 <= self.epsilon < float("inf")):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
            raise HyperparameterError(f"prong: `epsilon` is {self.epsilon!r}; it must be in [0, ∞)")
        for name, known in (("form", Form), ("whitening", Turn), ("momentum", Momentum)):
            value = getattr(self, name)
            if value not in get_args(known):
                raise HyperparameterError(f"prong: `{name}` is {value!r}; {did_you_mean(str(value), get_args(known))}")
        if self.form == "prong+" and self.momentum == "transform":
            raise HyperparameterError(
                "prong: a velocity of scaled weights has no counterpart in other coordinates; with form='prong+', "
                "`momentum` is 'reset' or 'keep'"
            )

    def check(self, chain: Chain) -> None:
        """Refuse what coordinates that change would make meaningless. Raises `ChainError`."""
        evaluates = any(trace.evaluation is not None for trace in chain.traces())
        stage = chain.waits or next(iter(chain.behind), None)
        if stage is not None or evaluates:
            what = repr(stage) if stage is not None else "what evaluation is to see"
            raise ChainError(
                f"{chain!r}: {what} is kept in coordinates that change every {self.every} steps; leave it out, and "
                "average the model, or add up gradients, outside of the chain"
            )
        if any(trace.curvature is not None for trace in chain.traces()):
            raise ChainError(
                f"{chain!r} goes by the curvature, which is not known in PRONG's coordinates; leave it out"
            )
        names = [stage.rule.name if isinstance(stage, Stage) else repr(stage) for stage in chain.stages]
        other = next((name for name in names if name not in _VELOCITIES), None)
        if self.momentum == "transform" and other is not None:
            raise ChainError(
                f"momentum='transform' carries a velocity over, and {other} may keep something else; use 'reset'"
            )
