"""What curvature is given as: a symmetric matrix that is only ever multiplied with."""

# ruff: noqa: D102  # what a protocol asks for

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch

from thalweg.errors import CurvatureError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from scipy.sparse.linalg import LinearOperator
    from torch import Tensor


class Symmetric(Protocol):
    """A symmetric matrix, an `Operator` or a dense tensor."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def device(self) -> torch.device: ...
    def __matmul__(self, v: Tensor, /) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Operator:
    """A symmetric matrix: `A @ v` multiplies it with a vector (n,) or with columns (n, k).

    `multiply` maps columns (n, k) to columns (n, k). Raises `CurvatureError` for a vector that does not fit, and for a
    NaN or an infinity in a vector or a product.
    """

    name: str
    size: int
    dtype: torch.dtype
    device: torch.device
    multiply: Callable[[Tensor], Tensor]

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return self.size, self.size

    @property
    def T(self) -> Operator:
        """The same, since it is symmetric."""
        return self

    def __matmul__(self, v: Tensor) -> Tensor:
        if not isinstance(v, torch.Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise CurvatureError(f"{self!r} multiplies tensors, and this is {type(v).__name__}; or take `.to_scipy()`")
        if v.ndim not in (1, 2) or len(v) != self.size or v.dtype != self.dtype or v.device != self.device:
            raise CurvatureError(
                f"{self!r} multiplies vectors ({self.size},) and columns ({self.size}, k), {self.dtype}, on "
                f"{self.device}; this has the shape {tuple(v.shape)}, {v.dtype}, on {v.device}"
            )
        if not bool(v.isfinite().all()):
            raise CurvatureError(f"{self!r} was given a vector with a NaN or an infinity in it")
        found = self.multiply(v.detach().reshape(self.size, -1)).reshape(v.shape)
        if not bool(found.isfinite().all()):
            raise CurvatureError(f"a product with {self!r} has a NaN or an infinity in it, or overflows {self.dtype}")
        return found

    def to_dense(self) -> Tensor:
        """The matrix itself, (n, n), by n products."""
        return self @ torch.eye(self.size, dtype=self.dtype, device=self.device)

    def to_scipy(self) -> LinearOperator:
        """A `scipy.sparse.linalg.LinearOperator` on arrays of the same dtype; products run where the parameters are.

        Raises `CurvatureError` for a dtype that NumPy does not have.
        """
        from scipy.sparse.linalg import LinearOperator  # noqa: PLC0415 (where it is needed)

        if self.dtype not in (torch.float32, torch.float64):
            raise CurvatureError(
                f"{self!r} is in {self.dtype}, and SciPy knows no such; convert the model by `.float()`"
            )

        def multiply(v: NDArray[Any]) -> NDArray[Any]:
            return (self @ torch.as_tensor(v).to(self.device, self.dtype)).cpu().numpy()

        dtype = torch.empty(0, dtype=self.dtype).numpy().dtype
        ways = dict.fromkeys(("matvec", "rmatvec", "matmat", "rmatmat"), multiply)
        return cast("Any", LinearOperator)(self.shape, dtype=dtype, **ways)

    def __repr__(self) -> str:
        return f"<{self.name}, {self.size} × {self.size}>"
