"""What else methods are called, and how that is typed here: a name of the catalogue, or a call."""

from __future__ import annotations

ELSEWHERE = {
    "adam_l2": "chain(decay(0.01), adam(), step(lr))",
    "amsgrad": "adam(amsgrad=True)",
    "clip_grad_norm": "clip",
    "clip_grad_value": "clip_value",
    "exponential_moving_average": "ema",
    "gradient_accumulation": "accumulate",
    "gradient_clipping": "clip",
    "irprop+": "rprop(form='irprop+')",
    "irprop-": "rprop(form='irprop-')",
    "manhattan": "sign_descent",
    "momentum": "heavy_ball",
    "nag": "nesterov",
    "onecycle": "one_cycle",
    "polyak_averaging": "polyak",
    "polyak_momentum": "heavy_ball",
    "rmsprop_centred": "rmsprop(centred=True)",
    "rprop+": "rprop(form='rprop+')",
    "rprop-": "rprop(form='rprop-')",
    "sgd": "gradient_descent",
    "sgd_momentum": "heavy_ball",
    "sgdw": "chain(heavy_ball(), step(lr), decoupled_decay(1e-4))",
    "sign_sgd": "sign_descent",
    "signsgd": "sign_descent",
    "steepest_descent": "steepest",
    "warm_restarts": "sgdr",
    "weight_decay": "decay",
    "wsd": "warmup_stable_decay",
}


def typed_here(name: str) -> str | None:
    """How a method that goes by another name is typed here; None if this one is not known either.

    >>> typed_here("AMSGrad")
    'adam(amsgrad=True)'
    """
    return ELSEWHERE.get(name.strip().casefold().replace(" ", "_"))
