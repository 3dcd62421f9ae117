"""Steps that are smaller than a parameter's dtype can tell: kept, or taken now and then."""

from thalweg.formula import Moved, Position, Step, Update, Whole, Zeros, dithered, rule, stored, uniform


@rule(
    title="Kahan summation",
    source="Kahan 1965, doi:10.1145/363707.363723; for weights in bfloat16 Zamirai et al. 2020, arXiv:2010.06192, "
    "Algorithm 1",
    when="Behind the step, where parameters are in bfloat16 and there is no float32 copy of them: small steps are not "
    "lost, for two bytes more a parameter.",
)
def kahan(p: Moved, rest: Zeros) -> Update:
    """Keep what rounding takes from a step, and add it to the next."""
    exact = p + rest
    kept = stored(exact)
    return Position(kept), exact - kept


@rule(
    title="Stochastic rounding",
    source="for training Gupta et al. 2015, arXiv:1502.02551; for weights in bfloat16 Zamirai et al. 2020, "
    "arXiv:2010.06192; its random bits by Philox4x32-10, Salmon et al. 2011, doi:10.1145/2063384.2063405",
    seed="0: any other draws other numbers",
    dialect="The bits are a function of seed, step, parameter (by its place in the optimizer) and element: threads "
    "and resuming change none.",
    when="Behind the step, where parameters are in bfloat16 or float16 and there is no float32 copy of them: small "
    "steps count on average, for no memory at all. With two bytes more, `kahan` follows the exact sum more closely.",
)
def stochastic_rounding(p: Moved, t: Step, *, seed: Whole = 0) -> Update:
    """Round up or down at random, by how near each is, so that the mean is exact; wider dtypes stay as they are."""
    return Position(dithered(p, uniform(seed, t)))
