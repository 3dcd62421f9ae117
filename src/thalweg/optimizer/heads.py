"""Which layers give a model's output, read off the model without running it."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LINEAR = (nn.Linear, nn.Bilinear)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_LAYERS = (*LINEAR, *CONVOLUTIONS)
_WORKING = (*_LAYERS, *RECURRENT, nn.MultiheadAttention)
_LISTS = (nn.ModuleList, nn.ModuleDict)
_HEAD_NAME = re.compile(
    r"(?!pre_)(.*_)?(heads?(_dist)?|classifier|readout|unembed(ding)?)|(to_|cls_)?logits(_proj)?"
    r"|embed_out|score|qa_outputs|output_(projection|layer)"
)
_TELLERS = ("get_output_embeddings", "get_classifier")
"""Methods by which the models of Hugging Face and of timm say it themselves."""
_WIDTHS = (
    *("in_features", "in1_features", "in2_features", "in_channels", "input_size", "embed_dim", "kdim", "vdim"),
    *("num_features", "num_channels"),
)
"""Attributes by which torch's layers say how many features they take."""


@dataclass(frozen=True)
class Heads:
    """Names of linear and convolutional layers."""

    certain: frozenset[str]
    possible: Mapping[str, str]
    """Those that may give the output, each with what speaks for it."""


def find_heads(model: nn.Module) -> Heads:
    """The layers that give the model's output.

    Certain are those that the model itself tells (`get_output_embeddings`, `get_classifier`), those called so
    (`lm_head`, `classifier`, or the last layer in one called so), the last of modules that run in order; and if
    there are none of these, the last registered, where no layer takes as many features as it gives. What stands inside
    blocks in a row is none.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    layers = {name: module for name, module in modules.items() if _is_layer(name, modules)}
    candidates = {name: layer for name, layer in layers.items() if not _is_hidden(name, modules)}
    ends = _ends(candidates, model)
    certain, possible = _named(candidates, modules, ends)
    last = _last_in_order(model)
    answers = [*_told(model), *([] if last is None else [last])]
    certain |= {name for name, layer in layers.items() if any(layer is answer for answer in answers)}
    possible |= dict.fromkeys(ends & _linear(candidates).keys(), "no layer takes as many features as it gives")
    registered = [names[-1] for names in (list(layers), list(_linear(layers))) if names and names[-1] in candidates]
    if registered and not certain:
        if registered[0] in ends | possible.keys():  # the second for what is also called so
            certain.add(registered[0])
        else:
            possible[registered[0]] = "it is the last that was registered"
    return Heads(frozenset(certain), {name: why for name, why in possible.items() if name not in certain})


def is_in_blocks(name: str, modules: Mapping[str, nn.Module]) -> bool:
    """Whether it is or is in a block: what has modules, in a `ModuleList` or in a `Sequential` with another such."""
    for parent, element in _way(name):
        row, block = modules[parent], modules[element]
        if isinstance(block, (*_WORKING, *_LISTS, nn.Sequential)) or next(block.children(), None) is None:
            continue
        if isinstance(row, nn.ModuleList):
            return True
        if isinstance(row, nn.Sequential) and sum(type(other) is type(block) for other in row) > 1:
            return True
    return False


def _is_layer(name: str, modules: Mapping[str, nn.Module]) -> bool:
    inside = modules[name.rpartition(".")[0]]
    return isinstance(modules[name], _LAYERS) and not isinstance(inside, nn.MultiheadAttention)


def _linear(layers: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    return {name: layer for name, layer in layers.items() if isinstance(layer, LINEAR)}


def _way(name: str) -> Iterator[tuple[str, str]]:
    """From the model down to this module, itself included: each module's name after its parent's."""
    parts = name.split(".") if name else []
    for depth in range(1, len(parts) + 1):
        yield ".".join(parts[: depth - 1]), ".".join(parts[:depth])


def _is_hidden(name: str, modules: Mapping[str, nn.Module]) -> bool:
    """Whether a layer cannot give the output: it is in a block, or another layer runs after it."""
    steps = ((modules[parent], modules[element]) for parent, element in _way(name))
    return is_in_blocks(name, modules) or any(
        isinstance(row, nn.Sequential) and _is_followed(module, list(row)) for row, module in steps
    )


def _is_followed(module: nn.Module, row: list[nn.Module]) -> bool:
    place = next(place for place, other in enumerate(row) if other is module)
    return any(isinstance(part, _WORKING) for later in row[place + 1 :] for part in later.modules())


def _ends(candidates: Mapping[str, nn.Module], model: nn.Module) -> set[str]:
    """The layers that give a number of features which no other module takes."""
    takers = Counter(width for module in model.modules() for width in _takes(module))
    ends: set[str] = set()
    for name, layer in candidates.items():
        gives: int = getattr(layer, "out_features" if isinstance(layer, LINEAR) else "out_channels")
        if takers[gives] == (gives in _takes(layer)):
            ends.add(name)
    return ends


def _takes(module: nn.Module) -> set[int]:
    """How many features a module may take; of matrices that are its own, either side may be it."""
    widths: list[object] = [getattr(module, name, None) for name in _WIDTHS]
    shape: Any = getattr(module, "normalized_shape", None)
    if isinstance(shape, tuple) and shape:
        widths.append(shape[-1])
    if not isinstance(module, (*_WORKING, nn.Embedding, nn.EmbeddingBag)):
        own = module.parameters(recurse=False)
        widths += [side for parameter in own if parameter.ndim > 1 for side in parameter.shape]
    return {width for width in widths if type(width) is int}  # another's module may mean a list by such a name


def _told(model: nn.Module) -> Iterator[nn.Module]:
    """The layers that the model, or a part of it, says give its output."""
    for module in model.modules():
        if isinstance(module, nn.AdaptiveLogSoftmaxWithLoss):
            yield from module.modules()
        for teller in _TELLERS:
            answer: Any = None
            # a base class may have the method only for those that inherit it, or with arguments
            with suppress(AttributeError, NotImplementedError, TypeError):
                answer = getattr(module, teller)()
            for part in answer if isinstance(answer, tuple | list) else [answer]:
                if isinstance(part, nn.Module):
                    yield from filter(None, map(_last_layer, _parts(part)))


def _named(
    candidates: Mapping[str, nn.Module], modules: Mapping[str, nn.Module], ends: set[str]
) -> tuple[set[str], dict[str, str]]:
    """The candidates called a head, and those that may be one as the last in something called so."""
    certain: set[str] = set()
    possible: dict[str, str] = {}
    for place, module in modules.items():
        if not _HEAD_NAME.fullmatch(place.rpartition(".")[2].lower()):
            continue
        for part in _parts(module):
            layer = _last_layer(part)
            for name in (name for name, candidate in candidates.items() if candidate is layer):
                if name in ends or (layer is part and isinstance(layer, LINEAR)):
                    certain.add(name)
                elif isinstance(layer, LINEAR):  # a convolution that others take from is a stage called so
                    possible[name] = f"it is the last layer in `{place}`"
    return certain, possible


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    """The module, or those that it lists."""
    if isinstance(module, _LISTS):
        for child in module.children():
            yield from _parts(child)
    else:
        yield module


def _last_layer(part: nn.Module) -> nn.Module | None:
    layers = [module for module in part.modules() if isinstance(module, _LAYERS)]
    return layers[-1] if layers else None


def _last_in_order(module: nn.Module) -> nn.Module | None:
    """The layer that runs last, if nothing but `Sequential`s and modules around one other leads to it."""
    while not isinstance(module, _LAYERS):
        children = [child for child in module.children() if next(child.parameters(), None) is not None]
        alone = len(children) == 1 and next(module.parameters(recurse=False), None) is None
        if not children or not (alone or isinstance(module, nn.Sequential)):
            return None
        module = children[-1]
    return module
