"""PSGD-Kron: a preconditioner that is itself learned, a triangular factor for the rows and one for the columns."""

import random
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from thalweg.formula import Fraction, NonNegative, Positive, Range
from thalweg.matrix.language import matrix_rule
from thalweg.matrix.stack import States, Which, chosen, outer, per_matrix, times

_BALANCED = 0.01
"""How often the two factors are brought to one size: with this probability at each fit, the author's code."""


def _begin(
    blank: Tensor,
    *,
    scale: float | None,
    momentum: float | None,
    max_size: float | None,
    max_skew: float,
    **_: Any,
) -> States:
    b, rows, columns = blank.shape
    states = {"scale": blank.new_full((b,), scale or 0.0)}
    for name, n in (("l", rows), ("r", columns)):
        diagonal = n <= 1 or (max_size is not None and n > max_size) or n * n > max_skew * rows * columns
        one = blank.new_ones(n) if diagonal else torch.eye(n, dtype=blank.dtype, device=blank.device)
        states[f"Q_{name}"] = (one * (scale or 1.0) ** 0.5).repeat(b, *([1] * one.ndim))
        states[f"ell_{name}"] = blank.new_zeros(b)
    if momentum is not None:
        states["m"] = blank.new_zeros(blank.shape)
    return states


@matrix_rule(
    title="PSGD, Kronecker factors",
    source="Li 2015, arXiv:1512.04202, and 2024, arXiv:2402.11858; the author's code, github.com/lixilinx/psgd_torch, "
    '`KronWhiten` with dQ="EQ"',
    algorithm="""
        D ← QₗᵀQₗ G QᵣᵀQᵣ
        V ~ N(0, 1), A ← Qₗ G Qᵣᵀ, B ← Qₗ⁻ᵀ V Qᵣ⁻¹
        ℓ ← max(0.9 ℓ + 0.1 ‖AAᵀ + BBᵀ‖, ‖AAᵀ + BBᵀ‖)
        Qₗ ← Qₗ − μ/ℓ triu(AAᵀ − BBᵀ) Qₗ, and Qᵣ likewise with AᵀA and BᵀB
    """,
    begin=_begin,
    learning_rate=0.001,
    needs={"whiten": ("momentum", ())},
    rate="0.1, the author's code (`lr_preconditioner`)",
    momentum="none, the author's code, whose default is 0",
    whiten="`gradient`, the author's code (`whiten_grad`)",
    probability="1, the author's code (`preconditioner_update_probability`); it may fall to some hundredths later",
    scale="from the first gradient, the author's code: the mean of G⁴ to the power −1/8",
    max_size="none, the author's code",
    max_skew="1, the author's code: the longer side of a matrix that is not square has a diagonal factor",
    seed="0",
    dialect="The author's code of May 2025, dQ = E Q with triangular Q. What it draws comes from `seed` and the "
    "step alone, so that a run repeats, resumed or not, on one kind of device; all matrices of a shape see one V, each "
    "for its own factor. A gradient of zeros is not fitted, where the code lets the factors grow. The norm is the "
    "code's lower bound. A convolution is viewed as filters × rest; the code has a factor for each of its dimensions.",
    when="As Shampoo, without eigenvalues: products and triangular solves only. Rates as Adam's, or somewhat lower.",
)
def psgd_kron(  # noqa: PLR0913  # as many hyper-parameters as the author's code
    G: Tensor,
    states: States,
    t: Tensor,
    *,
    rate: Fraction = 0.1,
    momentum: Fraction | None = None,
    whiten: Literal["gradient", "momentum"] = "gradient",
    probability: Annotated[float, Range(0, 1, high_included=True)] = 1.0,
    scale: Positive | None = None,  # noqa: ARG001  # the states begin with it
    max_size: NonNegative | None = None,  # noqa: ARG001  # decides which states there are
    max_skew: NonNegative = 1.0,  # noqa: ARG001  # as above
    seed: Annotated[int, Range(0)] = 0,
) -> Tensor:
    """Whiten the gradient by a preconditioner that random probes keep fitting to it."""
    before = per_matrix(1 - 1 / t.double(), G).clamp(max=momentum) if momentum is not None else None
    X = states["m"].lerp_(G, 1 - before) if before is not None and whiten == "momentum" else G
    _set_scale(states, X)
    Q_l, Q_r = states["Q_l"], states["Q_r"]
    A = times(Q_r, times(Q_l, X).mT).mT
    D = times(_transposed(Q_r), times(_transposed(Q_l), A).mT).mT
    for step in t.unique().tolist():
        dice = random.Random(f"{seed} {step}")  # a seed that is text is hashed: neighbours have nothing in common
        if dice.random() < probability:
            balanced, source = dice.random() < _BALANCED, dice.getrandbits(63)
            _fit(states, A, chosen(t == step), probe(source, A), rate)
            if balanced:
                _balance(states, chosen(t == step))
    if before is None or whiten == "momentum":
        return D
    return states["m"].lerp_(D, 1 - before).clone()


def probe(seed: int, like: Tensor) -> Tensor:
    """Normal random numbers (m, n) for a stack (b, m, n), from a generator of their own."""
    generator = torch.Generator(like.device).manual_seed(seed)
    return torch.randn(like.shape[1:], generator=generator, dtype=like.dtype, device=like.device)


def _set_scale(states: States, X: Tensor) -> None:
    """Scale the factors of those that have seen no gradient but zeros: the mean of X⁴ to the power −1/8."""
    top = X.abs().amax((-2, -1))
    new = (states["scale"] == 0) & (top > 0)
    size = torch.where(top > 0, top, 1)
    wanted = size**-0.5 * (X / size.reshape(-1, 1, 1)).pow(4).mean((-2, -1)) ** -0.125
    states["scale"].copy_(torch.where(new, wanted, states["scale"]))
    factor = torch.where(new, wanted, 1).sqrt()
    for name in ("Q_l", "Q_r"):
        states[name].mul_(factor.reshape(-1, *([1] * (states[name].ndim - 1))))


def _fit(states: States, A: Tensor, which: Which, V: Tensor, rate: float) -> None:
    """One step of gradient descent on each factor, in the group of triangular matrices."""
    if which is None:
        return
    part = A[which]
    B = _divided(states["Q_r"][which], _divided(states["Q_l"][which], V.expand_as(part)).mT).mT
    seen = (part != 0).any(-1).any(-1)
    for name, a, b in (("l", part, B), ("r", part.mT, B.mT)):
        Q, ell = states[f"Q_{name}"][which], states[f"ell_{name}"][which]
        first, second = torch.zeros_like(Q), torch.zeros_like(Q)
        outer(first, a)
        outer(second, b)
        norm = _norm(first + second)
        ell = torch.where(seen, torch.maximum(0.9 * ell + 0.1 * norm, norm), ell)
        share = torch.where(seen, rate / torch.where(seen, ell, 1), 0)
        if Q.ndim == 3:
            step = share.reshape(-1, 1, 1) * (first - second).triu() @ Q
        else:
            step = share.reshape(-1, 1) * (first - second) * Q
        states[f"Q_{name}"][which], states[f"ell_{name}"][which] = Q - step, ell


def _balance(states: States, which: Which) -> None:
    """Bring both factors to the same largest entry; their product stays."""
    if which is None:
        return
    left, right = states["Q_l"][which], states["Q_r"][which]
    ratio = (right.abs().flatten(1).amax(-1) / left.abs().flatten(1).amax(-1)).sqrt()
    states["Q_l"][which] = left * ratio.reshape(-1, *([1] * (left.ndim - 1)))
    states["Q_r"][which] = right / ratio.reshape(-1, *([1] * (right.ndim - 1)))


def _transposed(Q: Tensor) -> Tensor:
    return Q.mT if Q.ndim == 3 else Q


def _divided(Q: Tensor, X: Tensor) -> Tensor:
    """Q⁻ᵀ X for an upper triangular Q (b, m, m), or a diagonal (b, m)."""
    return torch.linalg.solve_triangular(Q.mT, X, upper=False) if Q.ndim == 3 else X / Q.unsqueeze(-1)


def _norm(S: Tensor) -> Tensor:
    """A cheap lower bound of the spectral norm, (b,): one power step from the longest row; of a diagonal, the norm."""
    if S.ndim == 2:
        return S.amax(-1)
    top = S.abs().amax((-2, -1)).clamp(min=torch.finfo(S.dtype).tiny)
    scaled = S / top.reshape(-1, 1, 1)
    longest = scaled.square().sum(-1).argmax(-1)
    row = scaled[torch.arange(len(S), device=S.device), longest]
    x = scaled @ row.unsqueeze(-1)
    x = x / torch.linalg.vector_norm(x, dim=-2, keepdim=True).clamp(min=torch.finfo(S.dtype).tiny)
    return top * torch.linalg.vector_norm(scaled.mT @ x, dim=(-2, -1))
