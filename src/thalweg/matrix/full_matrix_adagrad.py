"""AdaGrad with the full matrix of a tensor's gradients, not its diagonal."""

from typing import Any

from torch import Tensor

from thalweg.formula import NonNegative
from thalweg.matrix.language import Count, matrix_rule
from thalweg.matrix.rule import ROLES
from thalweg.matrix.spectrum import eigen, spectral
from thalweg.matrix.stack import States, due, outer


def _begin(blank: Tensor, **_: Any) -> States:  # the settings change nothing here
    b, m, n = blank.shape
    return {name: blank.new_zeros(b, m * n, m * n) for name in ("S", "S_root")}


@matrix_rule(
    title="AdaGrad, full matrix",
    source="Duchi, Hazan and Singer 2011, JMLR 12:2121, figure 2",
    algorithm="""
        g ← the gradient as one column
        S ← S + ggᵀ
        D ← (δI + (S + s₀I)^(1/2))⁻¹ g
    """,
    begin=_begin,
    learning_rate=0.01,
    roles=ROLES,
    limit="largest",
    eps="1e-10, torch.optim.Adagrad, which has the diagonal; the paper has a δ ≥ 0 without a value",
    s0="0, the paper; torch.optim.Adagrad's `initial_accumulator_value`",
    every="1, the paper",
    largest="1024: two matrices of 4 MB in float32 and some tenths of a second for each root",
    dialect="The paper's δ (here `eps`) stands outside the root; `s0` damps inside it. Each tensor has a matrix of its "
    "own, so correlations between tensors are not seen. Eigenvalues below rounding are raised to it.",
    when="For small models, and to see what the diagonal leaves out: its regret is bounded in every basis, see "
    "`thalweg.matrix.regret_bound`. Memory grows with the square of a tensor's size, time with its cube.",
)
def full_matrix_adagrad(
    G: Tensor,
    states: States,
    t: Tensor,
    *,
    eps: NonNegative = 1e-10,
    s0: NonNegative = 0.0,
    every: Count = 1,
    largest: Count = 1024,  # noqa: ARG001  # checked where the states begin
) -> Tensor:
    """Divide by the matrix root of the sum of all the gradients' outer products."""
    g = G.reshape(len(G), -1, 1)
    S, root = states["S"], states["S_root"]
    outer(S, g)
    which = due(t, every, root)
    if which is not None:
        root[which] = spectral(S[which], lambda x: 1 / (eps + (x + s0).sqrt()))
    return (root @ g).reshape(G.shape)


def regret_bound(S: Tensor, *, radius: float, learning_rate: float, eps: float = 0.0, s0: float = 0.0) -> Tensor:
    """What Σ f(pₜ) − f(p*) cannot exceed for convex f, of each tensor: (b,), from the states S (b, n, n).

    `radius` is the largest distance ‖pₜ − p*‖ on the way. D²/(2α)·(δ + tr (S + s₀I)^½) + α tr S^½: Theorem 7 of Duchi,
    Hazan and Singer 2011, for a step without bounds, with s₀ as a further start.
    """
    values = eigen(S)[0].clamp(min=0)
    started = (values + s0).sqrt().sum(-1)
    return radius**2 / (2 * learning_rate) * (eps + started) + learning_rate * values.sqrt().sum(-1)
