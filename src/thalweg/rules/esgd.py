"""ESGD: the gradient over the size of the Hessian's rows, which random products with it tell."""

from thalweg.formula import Direction, HessianProduct, Positive, TensorZeros, Update, Zeros, maximum, rule, sqrt


@rule(
    title="ESGD",
    source="Dauphin, de Vries and Bengio 2015, arXiv:1502.04390, Algorithm 1",
    learning_rate=0.01,
    damping="1e-4: the paper tunes it, as its λ",
    dialect="The paper's, with a product at every 20th step: `optimizer.estimate_curvature(loss)` before "
    "`loss.backward()`.",
    when="On ill-conditioned problems with saddles, where the Hessian's diagonal has values near zero or below.",
)
def esgd(g: Direction, hv: HessianProduct, squares: Zeros, i: TensorZeros, *, damping: Positive = 1e-4) -> Update:
    """Divide the gradient by the root of the mean square of Hv, over all products with a random v so far."""
    if hv is not None:
        squares = squares + hv**2
        i = i + 1
    return g / (sqrt(squares / maximum(i, 1)) + damping), squares, i
