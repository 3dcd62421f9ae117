"""RAdam: Adam that does not scale by its second average until there is enough in it."""

from thalweg.formula import Direction, Fraction, NonNegative, Step, Update, Zeros, rule, sqrt, where


@rule(
    title="RAdam",
    source="Liu et al. 2020, arXiv:1908.03265, Algorithm 2",
    learning_rate=0.001,
    beta1="0.9, torch.optim.RAdam and the paper's experiments",
    beta2="0.999, torch.optim.RAdam and the paper's experiments",
    eps="1e-8, torch.optim.RAdam; the paper has none",
    dialect="torch's: ε is added to √v before the correction of its start, and the scale counts once ρ exceeds 5; the "
    "paper says 4.",
    when="As Adam without a warm-up of the rate: the first steps are those of momentum alone.",
    translations=(
        "torch.optim.RAdam(lr=lr, betas=(beta1, beta2), eps=eps)",
        "Liu_et_al_2020(α=lr, β1=beta1, β2=beta2); it has no ε, and trusts the scale from ρ = 4 on, not 5",
    ),
)
def radam(
    g: Direction,
    m: Zeros,
    v: Zeros,
    t: Step,
    *,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    eps: NonNegative = 1e-8,
) -> Update:
    """Follow the averaged gradient, scaled as Adam does once the scale can be trusted."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
    trusted = rho > 5
    scale = where(trusted, sqrt(1 - beta2**t) / (sqrt(v) + eps), 1)
    r = where(trusted, sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)), 1)
    return m_hat * r * scale, m, v
