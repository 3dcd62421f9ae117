"""SOAP: Adam in the basis of Shampoo's eigenvectors."""

from typing import Any

import torch
from torch import Tensor

from thalweg.formula import Fraction, NonNegative
from thalweg.matrix.language import Count, matrix_rule
from thalweg.matrix.spectrum import eigen
from thalweg.matrix.stack import States, Which, chosen, correction, outer, per_matrix


def _begin(blank: Tensor, *, largest: int, **_: Any) -> States:
    states = {name: blank.new_zeros(blank.shape) for name in ("m", "v")}
    for name, n in zip(("L", "R"), blank.shape[1:], strict=True):
        if n <= largest:
            states[name] = blank.new_zeros(len(blank), n, n)
            states[f"Q_{name}"] = blank.new_zeros(len(blank), n, n)
    return states


@matrix_rule(
    title="SOAP",
    source="Vyas et al. 2024, arXiv:2409.11321, Algorithms 3 and 4; the authors' code, github.com/nikhilvyas/SOAP",
    algorithm="""
        m ← β₁ m + (1 − β₁) G
        v ← β₂ v + (1 − β₂) (QₗᵀGQᵣ)²
        D ← Qₗ [QₗᵀmQᵣ/(1 − β₁ᵏ) / (√(v/(1 − β₂ᵏ)) + ε)] Qᵣᵀ, where k = t − 1
        L ← β₃ L + (1 − β₃) GGᵀ, R ← β₃ R + (1 − β₃) GᵀG
        every few steps: Qₗ ← QR(LQₗ), Qᵣ ← QR(RQᵣ)
    """,
    begin=_begin,
    learning_rate=0.003,
    beta1="0.95, the authors' code",
    beta2="0.95, the authors' code",
    shampoo_beta="that of beta2, the authors' code",
    eps="1e-8, the authors' code",
    every="10, the authors' code (`precondition_frequency`)",
    largest="10000, the authors' code (`max_precond_dim`)",
    dialect="The authors' code: a first step does not move the parameter, it finds the basis; columns are sorted "
    "by their eigenvalues before each QR, and v with them; the basis in use is older than the gradient. Two things are "
    "not the code's: ε is added to the corrected root, as in Adam, so that the identity for a basis gives Adam; "
    "and m is kept unrotated, as in the paper, which is the same and saves two products. A side longer than "
    "`largest` is not rotated. A convolution is viewed as filters × rest (the code's `merge_dims` is near it). Weights "
    "decay by `chain(soap(), decay(0.01), step(α))`.",
    when="Where Adam's learning rates are known and steps are dear: large batches, transformers. Its states are "
    "2m² + 2n² + 2mn numbers for a matrix of m × n.",
)
def soap(  # noqa: PLR0913  # as many hyper-parameters as the authors' code
    G: Tensor,
    states: States,
    t: Tensor,
    *,
    beta1: Fraction = 0.95,
    beta2: Fraction = 0.95,
    shampoo_beta: Fraction | None = None,
    eps: NonNegative = 1e-8,
    every: Count = 10,
    largest: Count = 10000,  # noqa: ARG001  # decides which states there are
) -> Tensor:
    """Turn the gradient so that its rows and columns are uncorrelated, step as Adam, and turn back."""
    m, v = states["m"], states["v"]
    fresh = _without_basis(states, t)
    k = torch.where(fresh, 1, t - 1)
    old = per_matrix(~fresh, G)

    m.lerp_(G, (1 - beta1) * old)
    v.lerp_(_turned(G, states).square(), (1 - beta2) * old)
    m_hat = _turned(m, states) / correction(beta1, k, G)
    v_hat = v / correction(beta2, k, G)
    below = v_hat.sqrt() + eps
    D = _turned_back(torch.where(below > 0, m_hat / below, 0), states) * old

    beta3 = beta2 if shampoo_beta is None else shampoo_beta
    for name, X in (("L", G), ("R", G.mT)):
        if name in states:
            outer(states[name], X, beta=beta3, alpha=1 - beta3)
            _find_basis(states[name], states[f"Q_{name}"], chosen(fresh))
            _refresh_basis(states, name, chosen(~fresh & (k % every == 0)))
    return D


def _without_basis(states: States, t: Tensor) -> Tensor:
    """Which matrices have no basis yet, (b,) on the CPU."""
    fresh = t == 1
    for name in ("Q_L", "Q_R"):
        if name in states:
            fresh = fresh | (states[name][:, 0] == 0).all(-1).cpu()
    return fresh


def _turned(X: Tensor, states: States) -> Tensor:
    half = states["Q_L"].mT @ X if "Q_L" in states else X
    return half @ states["Q_R"] if "Q_R" in states else half


def _turned_back(X: Tensor, states: States) -> Tensor:
    half = states["Q_L"] @ X if "Q_L" in states else X
    return half @ states["Q_R"].mT if "Q_R" in states else half


def _find_basis(S: Tensor, Q: Tensor, which: Which) -> None:
    """The eigenvectors, those of the largest eigenvalues first."""
    if which is not None:
        Q[which] = eigen(S[which])[1].flip(-1)


def _refresh_basis(states: States, name: str, which: Which) -> None:
    """One step of the power iteration, Algorithm 4, after sorting by the eigenvalues as they are estimated."""
    if which is None:
        return
    S, Q, v = states[name][which], states[f"Q_{name}"][which], states["v"][which]
    SQ = S @ Q
    order = torch.argsort((Q * SQ).sum(-2), dim=-1, descending=True, stable=True)
    states[f"Q_{name}"][which] = torch.linalg.qr(SQ.gather(-1, order.unsqueeze(-2).expand_as(SQ)))[0]
    along = (-2, order.unsqueeze(-1)) if name == "L" else (-1, order.unsqueeze(-2))
    states["v"][which] = v.gather(along[0], along[1].expand_as(v))
