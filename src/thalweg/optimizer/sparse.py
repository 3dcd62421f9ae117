"""Which parameters take a sparse gradient: those whose formula leaves the rows alone that have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import GradientError
from thalweg.kernels.rows import Look, ReferenceRows, RowBinding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels import Plan
    from thalweg.optimizer.launch import Binding, Member


def check_layouts(members: Iterable[Member], *, rows_only: bool) -> None:
    """Refuse gradients whose layout a member cannot take. Raises `GradientError`.

    `rows_only` says that the optimizer is for sparse gradients, and steps no row without one.
    """
    for member in members:
        gradient = member.whole.grad
        if gradient is None:
            continue
        if gradient.layout == torch.strided:
            if rows_only:
                message = (
                    f"the gradient of {member.name} is dense, and this optimizer is for sparse ones; make the layer "
                    "with sparse=True, or give that parameter to Adam"
                )
                raise GradientError(message)
        elif (
            gradient.layout != torch.sparse_coo
            or member.parameter.is_complex()
            or not (rows_only or member.formula.takes_rows)
        ):
            kind = "sparse" if gradient.layout == torch.sparse_coo else f"of layout {gradient.layout}"
            message = (
                f"the gradient of {member.name} is {kind}, and this chain needs a dense one; "
                "make the layer with sparse=False, or give that parameter to SparseAdam"
            )
            raise GradientError(message)


def is_sparse(parameter: Tensor) -> bool:
    """Whether a parameter's gradient is sparse."""
    return parameter.grad is not None and parameter.grad.layout == torch.sparse_coo


def bind_rows(
    plan: Plan,
    parameters: Sequence[Tensor],
    states: Sequence[Mapping[str, Tensor]],
    *,
    numba: bool,
    guard: bool,
    looks_first: bool,
) -> tuple[Binding, Binding | None]:
    """What steps the rows that sparse gradients are for; and what looks at these first, if that is wanted."""
    engine: Any = ReferenceRows
    if numba and all(p.is_contiguous() and not p.is_neg() for p in parameters):
        from thalweg.kernels.numba.rows import NumbaRows  # noqa: PLC0415  # importing thalweg must not import numba

        engine = NumbaRows
    binding: Any = RowBinding(engine(plan, parameters, states, guard=guard), parameters, plan)
    look: Any = Look(binding) if looks_first else None
    return binding, look
