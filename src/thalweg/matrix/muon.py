"""Muon: the momentum with all its singular values made alike."""

from math import sqrt
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from thalweg.formula import Fraction, Positive, Range
from thalweg.matrix.language import matrix_rule
from thalweg.matrix.stack import States

_ITERATED = ("polar", ("bfloat16", "full"))


def _begin(blank: Tensor, **_: Any) -> States:  # the settings change nothing here
    return {"m": blank.new_zeros(blank.shape)}


@matrix_rule(
    title="Muon",
    source="Jordan et al. 2024, kellerjordan.github.io/posts/muon; torch.optim.Muon",
    algorithm="""
        m ← μ m + (1 − μ) G
        X ← (1 − μ) G + μ m, or m without Nesterov's look ahead
        X ← X/max(‖X‖, ε), then five times: X ← aX + b(XXᵀ)X + c(XXᵀ)²X
        D ← √max(1, rows/columns) X
    """,
    begin=_begin,
    learning_rate=0.02,
    translations=(
        (
            "torch.optim.Muon(lr=lr, weight_decay=0.0, momentum=momentum, nesterov=nesterov, "
            "ns_coefficients=(a, b, c), eps=eps, ns_steps=steps, adjust_lr_fn=adjust); "
            "default lr=0.001, adjust_lr_fn=None"
        ),
    ),
    needs=dict.fromkeys(("a", "b", "c", "steps", "eps"), _ITERATED),
    momentum="0.95, torch.optim.Muon and Jordan's code",
    nesterov="torch.optim.Muon and Jordan's code",
    polar="`bfloat16`, torch.optim.Muon and Jordan's code",
    a="3.4445, torch.optim.Muon and Jordan's code",
    b="-4.775, torch.optim.Muon and Jordan's code",
    c="2.0315, torch.optim.Muon and Jordan's code",
    steps="5, torch.optim.Muon (`ns_steps`) and Jordan's code",
    eps="1e-7, torch.optim.Muon and Jordan's code",
    adjust="`original`, torch.optim.Muon (`adjust_lr_fn`)",
    dialect="torch.optim.Muon's, its numbers included; weights decay by `chain(muon(), decay(0.1), step(α))`. torch's "
    "documentation prints m ← μm + G, its code averages; the norm divides the difference out, but for ε. A convolution "
    "is viewed as filters × rest, as in Jordan's code; torch.optim.Muon refuses it. `polar`: the iteration in "
    "`bfloat16` or in the `full` precision of the states, or the exact factor UVᵀ by `svd`. `adjust`: a matrix of "
    "rows × columns moves by √max(1, rows/columns) (Jordan's) or by 0.2 √max(rows, columns) (`match_rms_adamw`, "
    "arXiv:2502.16982), with which rates and decay found for AdamW serve.",
    when="For the hidden matrices of transformers and convolutional networks, beside AdamW for all else; it keeps one "
    "state, half of Adam's. Rates near 0.02, Jordan's; torch's default of 0.001 goes with `match_rms_adamw`.",
)
def muon(  # noqa: PLR0913  # as many hyper-parameters as torch.optim.Muon, and two
    G: Tensor,
    states: States,
    t: Tensor,  # noqa: ARG001  # every step is alike
    *,
    momentum: Fraction = 0.95,
    nesterov: bool = True,
    polar: Literal["bfloat16", "full", "svd"] = "bfloat16",
    a: float = 3.4445,
    b: float = -4.775,
    c: float = 2.0315,
    steps: Annotated[int, Range(0, 100)] = 5,
    eps: Positive = 1e-7,
    adjust: Literal["original", "match_rms_adamw"] = "original",
) -> Tensor:
    """Average the gradients, and move by the orthogonal matrix nearest to the average."""
    m = states["m"].lerp_(G, 1 - momentum)
    ahead = G.lerp(m, momentum) if nesterov else m
    if polar == "svd":
        x = polar_factor(ahead)
    else:
        x = newton_schulz(ahead.bfloat16() if polar == "bfloat16" else ahead, a, b, c, steps=steps, eps=eps).to(G.dtype)
    rows, columns = G.shape[1:]
    return x * (sqrt(max(1, rows / columns)) if adjust == "original" else 0.2 * sqrt(max(rows, columns)))


def newton_schulz(X: Tensor, a: float, b: float, c: float, *, steps: int, eps: float) -> Tensor:
    """An odd polynomial, iterated, which draws singular values towards 1, for X (b, m, n): U p(σ) Vᵀ.

    With Muon's coefficients and five steps they end between 0.68 and 1.21 if they were above 0.002 ‖X‖.
    """
    tall = X.shape[-2] > X.shape[-1]
    x = X.mT if tall else X
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        A = x @ x.mT
        B = torch.baddbmm(A, A, A, beta=b, alpha=c)
        x = torch.baddbmm(x, B, x, beta=a)
    return x.mT if tall else x


def polar_factor(X: Tensor) -> Tensor:
    """U Vᵀ for X = U σ Vᵀ (b, m, n), without the directions whose σ is zero but for rounding."""
    U, sigma, V = torch.linalg.svd(X, full_matrices=False)
    rounding = torch.finfo(X.dtype).eps * max(X.shape[-2:]) * sigma[..., :1]
    return (U * (sigma > rounding).to(X.dtype).unsqueeze(-2)) @ V
