"""Tensors alike of which each process has its parts, on top of each other: put together, and taken apart again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import ParameterError

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.optimizer.sharding.shard import Shard


def together(parts: Tensor, shard: Shard) -> Tensor:
    """The parts (b, …) that lie as this one does, as the whole tensors (b, …). All processes must ask for it."""
    from torch.distributed.tensor import DTensor  # noqa: PLC0415  # the parameters' maker has imported it

    shape = torch.Size((len(parts), *shard.whole.shape))
    stride = torch.empty(shape, device="meta").stride()
    mesh, placements = shard.whole.device_mesh, _placements(shard)
    lying = DTensor.from_local(parts.contiguous(), mesh, placements, run_check=False, shape=shape, stride=stride)
    return lying.full_tensor()


def apart(whole: Tensor, shard: Shard) -> Tensor:
    """This process's parts of tensors (b, …) that each process has whole."""
    from torch.distributed.tensor import distribute_tensor  # noqa: PLC0415  # as above

    return distribute_tensor(whole, shard.whole.device_mesh, _placements(shard), src_data_rank=None).to_local()


def check_stackable(whole: Any, called: str) -> None:  # noqa: ANN401  # a DTensor
    """Refuse a tensor that is cut in a way that cannot be put together here. Raises `ParameterError`."""
    if not all(_is_plain(placement) for placement in whole.placements):
        message = (
            f"{called} is cut along one dimension twice, {whole.placements}, and a matrix method needs the whole of "
            "it; keep it whole on each process, or give it another rule"
        )
        raise ParameterError(message)


def _is_plain(placement: Any) -> bool:  # noqa: ANN401  # torch's, of no common class with `dim`
    return placement.is_replicate() or (placement.is_shard() and not hasattr(placement, "split_factor"))


def _placements(shard: Shard) -> tuple[Any, ...]:
    """How the stack lies: as its tensors do, in dimensions one further on."""
    from torch.distributed import tensor as spread  # noqa: PLC0415  # as above

    dimensions = shard.whole.dim()
    return tuple(
        spread.Shard(placement.dim % dimensions + 1) if placement.is_shard() else spread.Replicate()
        for placement in shard.whole.placements
    )
