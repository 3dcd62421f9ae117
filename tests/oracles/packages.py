"""Published implementations that the model's oracles are held against, and which oracle speaks as which."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oracles.cautious import by_count, by_mean
from oracles.gradients import MODEL, model_gradients

if TYPE_CHECKING:
    from oracles.protocol import Array

STEPS = 20


@dataclass(frozen=True)
class Witness:
    """One published optimizer with its settings, and the oracle that should take its steps."""

    distribution: str
    name: str
    """What makes it, from its module on: `module:function`."""
    theirs: dict[str, Any]
    rule: str
    dialect: str
    ours: dict[str, Any]
    rate: float
    constant: bool = False
    """Whether the rate stays; else it falls as 1/(1 + k/10)."""
    agreement: float = 1e-10
    """How near to each other the ways from the start must be, relative to a tensor's longest."""
    tensors: tuple[int, ...] = field(default=(0, 1, 2))

    @property
    def id(self) -> str:
        settings = ", ".join(f"{key}={value}" for key, value in self.theirs.items())
        return f"{self.name.split(':')[0].split('.')[0]}.{self.name.split(':')[1]}({settings})"

    @property
    def start(self) -> list[Array]:
        return [MODEL[i] for i in self.tensors]

    @property
    def gradients(self) -> list[list[Array]]:
        """Without zeros: what a package does where nothing moves is told apart by the oracles' docstrings."""
        return [[g[i] for i in self.tensors] for g in model_gradients(STEPS, seed=1, zeros=False)]

    def lr(self, k: int) -> float:
        return self.rate if self.constant else self.rate / (1 + 0.1 * k)


def _w(distribution: str, name: str, theirs: dict[str, Any], key: str, ours: dict[str, Any], **more: Any) -> Witness:
    rule, dialect = key.split("-")
    return Witness(distribution, name, theirs, rule, dialect, ours, **more)


_ADAM = {"beta1": 0.8, "beta2": 0.95}
_BETAS = {"betas": (0.8, 0.95)}

WITNESSES = (
    _w(
        "optax",
        "optax:clip_by_global_norm",
        {"max_norm": 2.0},
        "clip-over_model",
        {"max_norm": 2.0, "eps": 0.0},
        rate=0.1,
    ),
    _w(
        "optax",
        "optax:normalize_by_update_norm",
        {"eps": 0.0},
        "normalised_descent-over_model",
        {},
        rate=0.1,
    ),
    _w("optax", "optax:lars", {"weight_decay": 0.1}, "lars-norm_of_sum", {"weight_decay": 0.1}, rate=1.0),
    _w(
        "timm",
        "timm.optim:Lars",
        {"momentum": 0.9, "weight_decay": 0.1},
        "lars-rate_outside",
        {"weight_decay": 0.1},
        rate=1.0,
    ),
    _w(
        "timm",
        "timm.optim:Lars",
        {"momentum": 0.9, "weight_decay": 0.1, "eps": 0.0},
        "lars-paper",
        {"weight_decay": 0.1},
        rate=1.0,
        constant=True,
    ),
    _w("optax", "optax:lamb", {"weight_decay": 0.1}, "lamb-corrected", {"weight_decay": 0.1}, rate=0.1),
    _w(
        "timm",
        "timm.optim:Lamb",
        {"max_grad_norm": None, "bias_correction": False, "weight_decay": 0.1},
        "lamb-uncorrected",
        {"weight_decay": 0.1},
        rate=0.1,
    ),
    _w("timm", "timm.optim:Adafactor", {"min_dim_size_to_factor": 1}, "adafactor-paper", {}, rate=0.0, constant=True),
    _w(
        "timm",
        "timm.optim:Mars",
        {"optimize_1d": True, "weight_decay": 0.1, "gamma": 0.1},
        "mars-approximate",
        {"beta1": 0.9, "weight_decay": 0.1, "gamma": 0.1},
        rate=0.1,
    ),
    _w(
        "pytorch-optimizer",
        "pytorch_optimizer:MARS",
        {"optimize_1d": True, "weight_decay": 0.0, "gamma": 0.1, "ams_bound": False},
        "mars-approximate_from_zero",
        {"gamma": 0.1},
        rate=0.1,
        agreement=1e-4,  # it shortens to 1/(1 + 1e-6)
    ),
    _w(
        "timm",
        "timm.optim:AdamWLegacy",
        {"caution": True, "weight_decay": 0.1},
        "cautious-adamw",
        {"weight_decay": 0.1, "mask": by_mean},
        rate=0.1,
    ),
    _w(
        "timm",
        "timm.optim:Lion",
        {"caution": True, "weight_decay": 0.1},
        "cautious-lion",
        {"weight_decay": 0.1, "mask": by_mean},
        rate=0.1,
    ),
    _w(
        "timm",
        "timm.optim:SGDW",
        {"caution": True, "momentum": 0.9, "weight_decay": 0.1},
        "cautious-momentum",
        {"weight_decay": 0.1, "mask": by_mean},
        rate=0.1,
    ),
    _w(
        "pytorch-optimizer",
        "pytorch_optimizer:Lion",
        {"cautious": True},
        "cautious-lion",
        {"mask": by_count},
        rate=0.1,
    ),
    _w(
        "dadaptation",
        "dadaptation:DAdaptSGD",
        {"momentum": 0.9, "d0": 0.1},
        "d_adaptation-sgd",
        {"momentum": 0.9, "d0": 0.1},
        rate=1.0,
    ),
    _w(
        "dadaptation",
        "dadaptation:DAdaptAdam",
        {**_BETAS, "growth_rate": 3.0, "d0": 0.1},
        "d_adaptation-adam_of_code",
        {**_ADAM, "growth_rate": 3.0, "d0": 0.1},
        rate=1.0,
    ),
    _w(
        "dadaptation",
        "dadaptation:DAdaptAdam",
        {**_BETAS, "use_bias_correction": True, "decouple": True, "weight_decay": 0.1, "d0": 0.1},
        "d_adaptation-adam_of_code",
        {**_ADAM, "use_bias_correction": True, "weight_decay": 0.1, "d0": 0.1},
        rate=1.0,
    ),
    _w(
        "optax",
        "optax.contrib:dadapt_adamw",
        {"weight_decay": 0.1, "estim_lr0": 0.1},
        "d_adaptation-adam_of_code",
        {"use_bias_correction": True, "weight_decay": 0.1, "d0": 0.1},
        rate=1.0,
    ),
    _w("dog-optimizer", "dog:DoG", {"reps_rel": 1e-3}, "dog-over_model", {"reps_rel": 1e-3}, rate=1.0),
    _w("dog-optimizer", "dog:LDoG", {"reps_rel": 1e-3}, "dog-per_tensor", {"reps_rel": 1e-3}, rate=1.0),
    _w("optax", "optax.contrib:dog", {}, "dog-over_model", {}, rate=1.0),
    _w("prodigyopt", "prodigyopt:Prodigy", {}, "prodigy-adam", {}, rate=1.0),
    _w(
        "prodigyopt",
        "prodigyopt:Prodigy",
        {**_BETAS, "use_bias_correction": True, "weight_decay": 0.1, "d_coef": 2.0, "growth_rate": 1.5, "d0": 0.1},
        "prodigy-adam",
        {**_ADAM, "use_bias_correction": True, "weight_decay": 0.1, "d_coef": 2.0, "growth_rate": 1.5, "d0": 0.1},
        rate=1.0,
    ),
    _w(
        "prodigyopt",
        "prodigyopt:Prodigy",
        {"safeguard_warmup": True, "beta3": 0.9, "d0": 1e-3},
        "prodigy-adam",
        {"safeguard_warmup": True, "beta3": 0.9, "d0": 1e-3},
        rate=1.0,
    ),
    _w(
        "optax",
        "optax.contrib:prodigy",
        {"weight_decay": 0.1, "estim_lr0": 0.1},
        "prodigy-adam",
        {"use_bias_correction": True, "weight_decay": 0.1, "d0": 0.1},
        rate=1.0,
    ),
    _w(
        "schedulefree",
        "schedulefree:SGDScheduleFree",
        {"warmup_steps": 7, "weight_decay": 0.1, "r": 0.5},
        "schedule_free-sgd",
        {"warmup_steps": 7, "weight_decay": 0.1, "r": 0.5},
        rate=0.1,
    ),
    _w(
        "schedulefree",
        "schedulefree:AdamWScheduleFree",
        {**_BETAS, "warmup_steps": 7, "weight_decay": 0.1, "weight_lr_power": 1.0},
        "schedule_free-adamw",
        {**_ADAM, "warmup_steps": 7, "weight_decay": 0.1, "weight_lr_power": 1.0},
        rate=0.1,
    ),
    _w(
        "schedulefree",
        "schedulefree.adamw_schedulefree_paper:AdamWScheduleFreePaper",
        {**_BETAS, "warmup_steps": 7, "weight_decay": 0.1},
        "schedule_free-adamw_paper",
        {**_ADAM, "warmup_steps": 7, "weight_decay": 0.1},
        rate=0.1,
    ),
    _w(
        "pytorch-optimizer", "pytorch_optimizer:Shampoo", {"matrix_eps": 1e-2}, "shampoo-paper", {"eps": 1e-2}, rate=0.1
    ),
    _w(
        "pytorch-optimizer",
        "pytorch_optimizer:SOAP",
        {"precondition_frequency": 3},
        "soap-of_code",
        {"precondition_frequency": 3},
        rate=0.1,
        agreement=1e-5,  # its QR is in float32
        tensors=(0, 2),  # a wide matrix leaves some of the first eigenvectors open
    ),
)
