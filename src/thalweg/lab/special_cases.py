"""Which optimizers contain others: what they become for some value of a hyper-parameter."""

from __future__ import annotations

# Momentum 0, or a decay of 0, is a setting like another.
_CONTAINS: dict[str, tuple[str, ...]] = {
    "heavy_ball": ("gradient_descent",),
    "nesterov": ("gradient_descent",),
    "rmsprop_momentum": ("rmsprop",),
    "adamw": ("adam",),
}


def contained_in(name: str) -> tuple[str, ...]:
    """The methods that the one of this name becomes for some value of a hyper-parameter."""
    return _CONTAINS.get(name, ())
