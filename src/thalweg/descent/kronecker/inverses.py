"""Inverses of damped Kronecker products, for many layers at once: equal shapes share one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thalweg.errors import CurvatureError
from thalweg.matrix.spectrum import eigen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor


def balance(A: Tensor, G: Tensor) -> Tensor:
    """π = √((tr A/n)/(tr G/m)) of each block, (blocks, 1, 1); 1 where a factor is zero. Section 6.3."""
    means = [torch.diagonal(S, dim1=-2, dim2=-1).mean(-1).reshape(-1, 1, 1) for S in (A, G)]
    return torch.where((means[0] > 0) & (means[1] > 0), (means[0] / means[1]).sqrt(), 1.0)


def factored(
    factors: Mapping[str, tuple[Tensor, Tensor]], damping: Mapping[str, float]
) -> dict[str, dict[str, Tensor]]:
    """(A + πγI)⁻¹ and (G + γ/π I)⁻¹ of each layer, with γ² the damping: Martens and Grosse 2015, section 6.3.

    Raises `CurvatureError` for a factor that is singular.
    """
    wide: list[tuple[str, str, Tensor]] = []
    for name, (A, G) in factors.items():
        pi, gamma = balance(A, G), damping[name] ** 0.5
        wide += [(name, "A_inverse", _raised(A, pi * gamma)), (name, "G_inverse", _raised(G, gamma / pi))]
    found: dict[str, dict[str, Tensor]] = {name: {} for name in factors}
    for own, inverses in _by_shape(wide, lambda names, stack: _inverses(names, stack, damping)):
        name, key = own
        found[name][key] = inverses[0]
    return found


def decomposed(factors: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """Eigenvalues and eigenvectors of both factors of each layer."""
    wide = [(name, key, S) for name, pair in factors.items() for key, S in zip("AG", pair, strict=True)]
    found: dict[str, dict[str, Tensor]] = {name: {} for name in factors}
    for (name, key), (values, vectors) in _by_shape(wide, lambda _, stack: eigen(stack)):
        found[name] |= {f"{key}_values": values.clamp(min=0), f"{key}_vectors": vectors}
    return found


def solve(matrix: Tensor, kept: Mapping[str, Tensor], damping: float, name: str) -> Tensor:
    """(A ⊗ G + damping)⁻¹ times a layer's gradient (blocks, m, n), by what `factored` or `decomposed` has found.

    Raises `CurvatureError` where that is singular.
    """
    if "A_inverse" in kept:
        return kept["G_inverse"] @ matrix @ kept["A_inverse"]
    values = kept["G_values"].unsqueeze(-1) * kept["A_values"].unsqueeze(-2) + damping
    tiny = torch.finfo(values.dtype).eps * max(values.shape[-2:]) * values.amax((-2, -1), keepdim=True)
    if damping == 0 and bool((values <= tiny).any()):
        raise _singular(name, "one of its factors is")
    turned = kept["G_vectors"].mT @ matrix @ kept["A_vectors"]
    return kept["G_vectors"] @ (turned / values) @ kept["A_vectors"].mT


def _inverses(names: Sequence[tuple[str, str]], stack: Tensor, damping: Mapping[str, float]) -> list[Tensor]:
    """Of a stack of symmetric positive definite matrices; in float64 where their own dtype does not do."""
    roots, failed = torch.linalg.cholesky_ex(stack)
    if bool(failed.any()) and stack.dtype != torch.float64:
        return [inverse.to(stack.dtype) for inverse in _inverses(names, stack.double(), damping)]
    pivots = torch.diagonal(roots, dim1=-2, dim2=-1).square()
    tiny = torch.finfo(stack.dtype).eps * stack.shape[-1] * pivots.amax(-1)
    for at, (name, key) in enumerate(names):
        if bool(failed[at]) or (damping[name] == 0 and bool(pivots[at].min() <= tiny[at])):
            raise _singular(name, f"its factor {key[0]}, {stack.shape[-1]} × {stack.shape[-1]}, is")
    return [torch.cholesky_inverse(roots)]


def _singular(name: str, what: str) -> CurvatureError:
    return CurvatureError(
        f"layer `{name}`: {what} singular, as with fewer examples than inputs or outputs that never move, and the "
        "damping is too small to make up for it; give a larger `damping`"
    )


def _raised(S: Tensor, by: Tensor) -> Tensor:
    return S + by * torch.eye(S.shape[-1], dtype=S.dtype, device=S.device)


def _by_shape(
    wide: Sequence[tuple[str, str, Tensor]],
    function: Callable[[Sequence[tuple[str, str]], Tensor], Sequence[Tensor]],
) -> list[tuple[tuple[str, str], list[Tensor]]]:
    """What a function makes of all of them, called once for each shape: (blocks, n, n) stacks, put end to end."""
    alike: dict[object, list[tuple[str, str, Tensor]]] = {}
    for one in wide:
        alike.setdefault((one[2].shape[-1], one[2].dtype, one[2].device), []).append(one)
    found: list[tuple[tuple[str, str], list[Tensor]]] = []
    for several in alike.values():
        counts = [S.shape[0] for _, _, S in several]
        names = [(name, key) for (name, key, _), count in zip(several, counts, strict=True) for _ in range(count)]
        made = [part.contiguous().split(counts) for part in function(names, torch.cat([S for _, _, S in several]))]
        found += [((name, key), [part[at] for part in made]) for at, (name, key, _) in enumerate(several)]
    return found
