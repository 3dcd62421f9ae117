"""The grammar: stages, and how they compose."""

from thalweg.chain.averages import ema, lookahead, polyak, swa
from thalweg.chain.calls import accumulate, skip_nonfinite
from thalweg.chain.chain import Chain, Kind, Step, chain, step
from thalweg.chain.clip import clip, clip_value
from thalweg.chain.decay import decay, decoupled_decay
from thalweg.chain.rounding import kahan, stochastic_rounding
from thalweg.chain.route import Route, route
from thalweg.chain.sparsity import l1, soft_threshold
from thalweg.chain.variants import cautious, mars
from thalweg.chain.whole import (
    MatrixMethod,
    Whole,
    full_matrix_adagrad,
    matrix_methods,
    muon,
    psgd_kron,
    shampoo,
    soap,
)
from thalweg.formula import Rule


def stages() -> dict[str, Rule]:
    """Every stage that is no rule of the catalogue, by its name: what stands before or behind one."""
    return {
        rule.name: rule
        for rule in (
            skip_nonfinite,
            accumulate,
            clip,
            clip_value,
            mars,
            decay,
            l1,
            cautious,
            decoupled_decay,
            soft_threshold,
            ema,
            polyak,
            swa,
            lookahead,
            kahan,
            stochastic_rounding,
        )
    }


__all__ = [
    "Chain",
    "Kind",
    "MatrixMethod",
    "Route",
    "Step",
    "Whole",
    "accumulate",
    "cautious",
    "chain",
    "clip",
    "clip_value",
    "decay",
    "decoupled_decay",
    "ema",
    "full_matrix_adagrad",
    "kahan",
    "l1",
    "lookahead",
    "mars",
    "matrix_methods",
    "muon",
    "polyak",
    "psgd_kron",
    "route",
    "shampoo",
    "skip_nonfinite",
    "soap",
    "soft_threshold",
    "stages",
    "step",
    "stochastic_rounding",
    "swa",
]
