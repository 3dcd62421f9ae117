"""Steps that are smaller than a parameter's dtype can tell: kept, or taken now and then."""

from thalweg.formula import Moved, Position, Update, Zeros, rule, stored


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
