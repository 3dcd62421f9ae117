"""Shampoo: AdaGrad with one matrix for the rows and one for the columns."""

from typing import Any, Literal

import torch
from torch import Tensor

from thalweg.formula import Fraction, NonNegative, Positive
from thalweg.matrix.language import Count, matrix_rule
from thalweg.matrix.spectrum import spectral
from thalweg.matrix.stack import States, correction, due, outer, per_matrix, times


def _begin(blank: Tensor, *, largest: int, graft: str | None, **_: Any) -> States:
    states: States = {}
    for name, n in zip(("L", "R"), blank.shape[1:], strict=True):
        if n > largest:
            states[name] = blank.new_zeros(len(blank), n)
        else:
            states[name] = blank.new_zeros(len(blank), n, n)
            states[f"{name}_root"] = blank.new_zeros(len(blank), n, n)
    if graft in {"adagrad", "adam"}:
        states["v"] = blank.new_zeros(blank.shape)
    return states


@matrix_rule(
    title="Shampoo",
    source="Gupta, Koren and Singer 2018, arXiv:1802.09568, Algorithm 1; averages and grafting: Anil et al. 2020, "
    "arXiv:2002.09018",
    algorithm="""
        L ← L + GGᵀ
        R ← R + GᵀG
        D ← (L + εI)^(−1/4) G (R + εI)^(−1/4)
    """,
    begin=_begin,
    learning_rate=0.1,
    needs={"graft_beta2": ("graft", ("adam",)), "graft_eps": ("graft", ("adagrad", "adam"))},
    eps="1e-12, the torch code of Shi et al. 2023, arXiv:2309.06497; the paper gives none, the authors' first code 0.1",
    beta2="none, the paper's sums; 0.999 is usual where one averages",
    power="1/4, the paper, for matrices",
    every="1, the paper's algorithm; its authors' code says that 20 loses nothing, and 50 or 100 is fine too",
    graft="none, the paper's algorithm",
    graft_beta2="0.999, Adam's",
    graft_eps="1e-8, Adam's",
    largest="8192: a wider side costs more than 256 MB in float32, twice; the authors' first code has 768",
    dialect="The paper's: sums, and both roots at each step. `beta2` averages instead (corrected for the start at "
    "zero), `every=20` computes the roots at each twentieth step, `graft` gives each direction the length that another "
    "rule's would have. A side longer than `largest` has its diagonal only, as in the authors' code. Eigenvalues "
    "below rounding are raised to it, so that ε may be small. A convolution is viewed as filters × rest, with two "
    "matrices; the paper has one for each of its dimensions. Momentum stands behind it: "
    '`chain(shampoo(), heavy_ball(form="torch"), step(α))`.',
    when="For hidden matrices whose rows and columns are strongly correlated. The roots are dear: raise `every`, and "
    "graft. Without a graft its rate must be found anew; the authors' first code has 1.",
)
def shampoo(  # noqa: PLR0913  # the paper's, and those of its practical form
    G: Tensor,
    states: States,
    t: Tensor,
    *,
    eps: NonNegative = 1e-12,
    beta2: Fraction | None = None,
    power: Positive = 0.25,
    every: Count = 1,
    graft: Literal["sgd", "adagrad", "adam"] | None = None,
    graft_beta2: Fraction = 0.999,
    graft_eps: NonNegative = 1e-8,
    largest: Count = 8192,  # noqa: ARG001  # decides which states there are
) -> Tensor:
    """Multiply the gradient from both sides with the inverse fourth root of what its rows and columns were like."""
    roots: list[Tensor] = []
    for name, X in (("L", G), ("R", G.mT)):
        S = states[name]
        outer(S, X, beta=1.0 if beta2 is None else beta2, alpha=1.0 if beta2 is None else 1 - beta2)
        scale = per_matrix(torch.ones(len(G)), G) if beta2 is None else correction(beta2, t, G)
        if S.ndim == 3:
            root = states[f"{name}_root"]
            which = due(t, every, root)
            if which is not None:
                root[which] = spectral(S[which] / scale[which], lambda x: (x + eps) ** -power)
        else:
            x = S / scale.squeeze(-1)
            root = torch.where(x > 0, (x + eps) ** -power, 0)
        roots.append(root)
    left, right = roots
    D = times(right, times(left, G).mT).mT
    if graft is None:
        return D
    wanted = _grafted(G, states, t, graft, graft_beta2, graft_eps)
    length = torch.linalg.vector_norm(D, dim=(-2, -1), keepdim=True)
    return D * torch.where(length > 0, torch.linalg.vector_norm(wanted, dim=(-2, -1), keepdim=True) / length, 0)


def _grafted(G: Tensor, states: States, t: Tensor, graft: str, beta2: float, eps: float) -> Tensor:
    """The direction of the rule whose length is taken: plain, AdaGrad's, or Adam's without momentum."""
    if graft == "sgd":
        return G
    v = states["v"]
    if graft == "adagrad":
        v.addcmul_(G, G)
        return _divided(G, v.sqrt() + eps)
    v.mul_(beta2).addcmul_(G, G, value=1 - beta2)
    return _divided(G, (v / correction(beta2, t, G)).sqrt() + eps)


def _divided(G: Tensor, by: Tensor) -> Tensor:
    return torch.where(by > 0, G / by, 0)
