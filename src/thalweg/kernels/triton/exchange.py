"""What the host tells a device and a device tells the host, without one waiting for the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_kept: list[object] = []


def is_capturing(device: torch.device) -> bool:
    """Whether what is launched goes into a CUDA graph."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def keep(*objects: object) -> None:
    """Keep what a CUDA graph reads and writes for as long as the process lives: nobody says when the graph goes."""
    _kept.extend(objects)


class Mirror:
    """Numbers of the host, and a device's copy of them, made anew when they have changed.

    `host` is a vector that may be written to at any time: a copy goes through pinned memory, which torch keeps until it
    has arrived. With `for_graphs`, CUDA graphs may be captured, each with a copy of its own.
    """

    def __init__(self, host: np.ndarray[Any, Any], device: torch.device, *, for_graphs: bool = False) -> None:
        self.host = host
        self._numbers = torch.from_numpy(host)
        self._device = device
        self._pins = device.type == "cuda"
        self._copy = torch.zeros(len(host), dtype=self._numbers.dtype, device=device)
        self._sent = np.zeros_like(host).tobytes()
        self._for_graphs = for_graphs
        self._spare: Tensor | None = None

    def on_device(self) -> Tensor:
        """The device's copy, as the host's numbers are now. Raises `BackendError` if a graph cannot have one."""
        if is_capturing(self._device):
            return self._for_one_graph()
        if self._for_graphs and self._spare is None:
            self._spare = torch.empty_like(self._copy, device="cpu", pin_memory=self._pins)
        now = self.host.tobytes()
        if now != self._sent:
            self._copy.copy_(self._numbers.pin_memory() if self._pins else self._numbers, non_blocking=True)
            self._sent = now
        return self._copy

    def forget(self) -> None:
        """The device's copy has been written to: make it anew when it is asked for."""
        self._sent = b""

    def _for_one_graph(self) -> Tensor:
        """A copy that the graph alone uses, and that each replay makes anew. No memory can be pinned meanwhile."""
        if self._spare is None:
            message = (
                "a CUDA graph is being captured and the optimizer is not prepared for it; make a step with the same "
                "parameters outside of a graph first, and one between two captures"
            )
            raise BackendError(message)
        staged, self._spare = self._spare, None
        staged.numpy()[:] = self.host
        copy = torch.empty_like(self._copy)
        copy.copy_(staged, non_blocking=True)
        keep(staged, copy)
        return copy


class Notes:
    """Words that kernels set to 1 and the host looks at when it likes.

    A GPU writes to them where they are, in pinned memory of the host: a kernel that has nothing to note costs nothing,
    and no copy has to be waited for. `are_pending` says that a kernel may still write.
    """

    are_pending = False

    def __init__(self, count: int, device: torch.device) -> None:
        self.words = torch.zeros(count, dtype=torch.int32, pin_memory=device.type == "cuda")
        self._seen = self.words.numpy()

    def __del__(self, keep_words: Callable[..., None] = keep) -> None:
        if self.are_pending:
            keep_words(self.words)

    def first(self) -> int | None:
        """The place of the first word that is set, if one is; all are cleared then."""
        if not self._seen.any():
            return None
        first = int(np.flatnonzero(self._seen)[0])
        self._seen[:] = 0
        return first
