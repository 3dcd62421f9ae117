"""What a loss's mean divides by, so that batches of any sizes add up to the whole."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from torch import Tensor, nn
from torch.nn import functional

from thalweg.errors import HyperparameterError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Reduction = Literal["mean", "sum"]

_OF_LABELS = (nn.CrossEntropyLoss, nn.NLLLoss, functional.cross_entropy, functional.nll_loss)
_OF_ELEMENTS = (
    *(nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.BCELoss, nn.BCEWithLogitsLoss, nn.PoissonNLLLoss),
    *(functional.mse_loss, functional.l1_loss, functional.smooth_l1_loss, functional.huber_loss),
    *(functional.binary_cross_entropy, functional.binary_cross_entropy_with_logits, functional.poisson_nll_loss),
)


def kind_of(loss: object) -> object:
    """A loss module's class, or the function, also where `functools.partial` holds its settings."""
    return type(loss) if isinstance(loss, nn.Module) else loss.func if isinstance(loss, partial) else loss


def setting_of(loss: object, name: str, default: Any = None) -> Any:  # noqa: ANN401  # whatever the loss holds
    """A loss's setting, such as `ignore_index`."""
    held = cast("partial[Any]", loss).keywords.get(name) if isinstance(loss, partial) else getattr(loss, name, None)
    return default if held is None else held


def reduction_of(loss: object, given: str | None) -> Reduction:
    """Whether the loss is a mean or a sum: as it says itself, or else as you say, or else a mean.

    Raises `HyperparameterError` for another reduction, and where the two contradict.
    """
    own = setting_of(loss, "reduction")
    found = own or given or "mean"
    if found not in get_args(Reduction):
        raise HyperparameterError(
            f"`reduction` is {found!r}, and a loss is one number; {did_you_mean(str(found), get_args(Reduction))}"
        )
    if own and given and own != given:
        raise HyperparameterError(f"the loss says itself that it is a {own}; leave out `reduction={given!r}`")
    return cast("Reduction", found)


def labels_that_count(loss: object, targets: object) -> Tensor | None:
    """Which labels a cross-entropy does not ignore; None for losses that have no labels."""
    if kind_of(loss) in _OF_LABELS and isinstance(targets, Tensor) and not targets.is_floating_point():
        return targets != setting_of(loss, "ignore_index", -100)
    return None


def divisor_of(loss: Callable[..., Tensor], outputs: Sequence[Tensor], targets: object, rows: int) -> float:
    """How many terms the loss's mean is over.

    Those are labels for torch's cross-entropies, elements for its squared error and the like, rows for other losses.
    """
    counted = labels_that_count(loss, targets)
    if counted is not None:
        weight = setting_of(loss, "weight")
        return float(counted.sum() if weight is None else weight[cast("Tensor", targets)[counted]].sum())
    if kind_of(loss) in _OF_LABELS:  # given probabilities of the classes, in dimension 1
        return outputs[0].numel() / outputs[0].shape[min(1, outputs[0].ndim - 1)]
    return float(outputs[0].numel() if kind_of(loss) in _OF_ELEMENTS else rows)
