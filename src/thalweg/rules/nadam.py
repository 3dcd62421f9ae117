"""NAdam: Adam with Nesterov momentum that rises over time."""

from typing import Annotated

from thalweg.formula import Direction, Fraction, Level, NonNegative, Scalar, State, Step, Update, Zeros, rule, sqrt


@rule(
    title="NAdam",
    source="Dozat 2016, ICLR workshop, Incorporating Nesterov Momentum into Adam, Algorithm 2",
    learning_rate=0.002,
    beta1="0.9, torch.optim.NAdam; Dozat's μ, which its schedule approaches from below, is 0.99",
    beta2="0.999, Dozat 2016",
    eps="1e-8, Dozat 2016",
    momentum_decay="0.004, Dozat 2016",
    dialect="torch's: the momentum at step t is β₁(1 - 0.96^(ψt)/2), and the average of gradients has β₁.",
    when="As Adam; it often needs fewer steps at the start. It keeps the product of its momenta, one number more "
    "a tensor.",
    translations=(
        "torch.optim.NAdam(lr=lr, betas=(beta1, beta2), eps=eps, momentum_decay=momentum_decay)",
        (
            "keras.optimizers.Nadam(learning_rate=lr, beta_1=beta1, beta_2=beta2, epsilon=eps) where "
            "momentum_decay=1; default learning_rate=0.001, epsilon=1e-7"
        ),
        "Dozat_2016(η=lr, μ=beta1, ν=beta2, ε=eps); there the average of gradients has μ_t, too",
    ),
)
def nadam(
    g: Direction,
    m: Zeros,
    v: Zeros,
    mu_product: Annotated[Scalar, State(start=1.0, level=Level.TENSOR)],
    t: Step,
    *,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    eps: NonNegative = 1e-8,
    momentum_decay: NonNegative = 0.004,
) -> Update:
    """Scale as Adam does, and look one step ahead along the averaged gradient."""
    mu = beta1 * (1 - 0.96 ** (t * momentum_decay) / 2)
    mu_next = beta1 * (1 - 0.96 ** ((t + 1) * momentum_decay) / 2)
    mu_product = mu_product * mu
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = mu_next * m / (1 - mu_product * mu_next) + (1 - mu) * g / (1 - mu_product)
    v_hat = v / (1 - beta2**t)
    return m_hat / (sqrt(v_hat) + eps), m, v, mu_product
