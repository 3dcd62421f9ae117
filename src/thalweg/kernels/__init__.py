"""The compilers: from a formula to something that runs, and to something that is read."""

from thalweg.kernels.plan import CHECK, Moved, Plan, plan, plan_evaluation, plan_meanwhile, without_move

__all__ = ["CHECK", "Moved", "Plan", "plan", "plan_evaluation", "plan_meanwhile", "without_move"]
