"""What can be said of a matrix method beside its lines: what it takes, and what it keeps for a weight of some size."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thalweg.chain import Whole

SIZES = ((1024, 256), (32, 16))
"""Weights to say it of: the first that the method takes."""


def states_of(whole: Whole) -> str:
    """The states of a weight, with their sizes and bytes."""
    import torch

    rows, columns = next(size for size in SIZES if not whole.refusal(size, None))
    settings = {name: value(0) if callable(value) else value for name, value in whole.values.items()}
    begun = whole.rule.begin(torch.empty((1, rows, columns), device="meta"), settings)
    sizes = {name: tuple(state.shape[1:]) for name, state in begun.items()}
    told = [f"{name} {' × '.join(map(str, size)) or 'one number'}" for name, size in sizes.items()]
    each = 4 * sum(state.numel() for state in begun.values()) / (rows * columns)
    count = f"{each:,.0f}" if each >= 100 else f"{each:.3g}"
    return f"of a weight of {rows} × {columns}: {', '.join(told)} ({count} bytes a parameter in float32)"


def taken_by(whole: Whole) -> str:
    """The parameters that it takes, and what becomes of the others."""
    rule = whole.rule
    if rule.limit:
        return f"any parameter of at most {whole.values[rule.limit]:g} elements (`{rule.limit}`)"
    return (
        "hidden weights, a convolution's filters as rows; the others go to another rule of the chain: "
        f"{rule.name}(only='matrix'), adam(skip='matrix'), or by `route` to a chain of their own"
    )
