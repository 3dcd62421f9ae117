"""What each parameter of a model is for: "no decay on norms and biases" is said by role, not by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from thalweg.errors import ParameterError, UnknownNameError, did_you_mean
from thalweg.optimizer.heads import CONVOLUTIONS, LINEAR, RECURRENT, Heads, find_heads, is_in_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

Role: TypeAlias = Literal["embedding", "head", "norm", "bias", "matrix", "convolution", "vector"]
ROLES: tuple[Role, ...] = get_args(Role)

_NO_OVERRIDES: Mapping[str, Role] = MappingProxyType({})
_NORMS: tuple[type, ...] = tuple(kind for name, kind in vars(nn).items() if re.search(r"Norm(\dd)?$", name))
_LAYERS = (*LINEAR, *CONVOLUTIONS)
_GATED = (*RECURRENT, nn.MultiheadAttention)
"""Layers whose matrices have names of their own, and are several in one."""
_NORM_CLASS = re.compile(r"norm(?!al(?!i[sz]))", re.IGNORECASE)
_NORM_NAME = re.compile(r"(^|_)(ln|bn|(layer|rms|batch|group)?norm)(\d|_|$)", re.IGNORECASE)
_BIAS_NAME = re.compile(r"bias(es)?(_.*)?|.*_bias(es)?", re.IGNORECASE)
_EMBEDDING_CLASS = re.compile(r"embed", re.IGNORECASE)
_EMBEDDING_NAME = re.compile(r"(^|_)(emb(ed(s|ding|dings)?)?|tokens?|pos(itions?|itional)?|table)(_|$)", re.IGNORECASE)
_CONVOLUTION_CLASS = re.compile(r"conv", re.IGNORECASE)
_MATRIX_NAME = re.compile(r"weight|kernel|proj|^w(\d|_|$)", re.IGNORECASE)
_WEIGHT_NAMES = ("weight", "weight_v", "weight_orig")
"""A layer's weight, and what torch's older `weight_norm`, `spectral_norm` and `prune` make of it."""


class Doubt(str):  # noqa: SLOT000  # there are few of them
    """The sentence on a role that is not certain: why, and how to settle it by the argument that roles are given by.

    >>> doubt = Doubt.between("restore.weight", ("matrix", "head"), "it is the last that was registered")
    >>> doubt.options
    ('matrix', 'head')
    """

    options: tuple[Role, ...] = ()
    """What the parameter may be, the likeliest first."""
    _parts: tuple[str, tuple[Role, ...], str] = ("", (), "")

    @classmethod
    def between(cls, name: str, options: tuple[Role, ...], why: str, argument: str = "overrides") -> Doubt:
        """The doubt about a parameter."""
        settled = f"{argument}={{{name!r}: {options[1]!r}}}"
        doubt = cls(f"`{name}` may be {' or '.join(options)} ({why}); say which, as {settled}")
        doubt.options = options
        doubt._parts = (name, options, why)
        return doubt

    def settled_by(self, argument: str) -> Doubt:
        """The same, where the argument has another name."""
        return Doubt.between(*self._parts, argument)


@dataclass(frozen=True)
class _Finding:
    role: Role
    doubt: Doubt | None = None


def roles(model: nn.Module, *, overrides: Mapping[str, Role] = _NO_OVERRIDES) -> dict[str, Role]:
    """The role of each parameter, by its name in `model.named_parameters()`.

    `embedding` (with what is tied to one, a head too), `head` (the weights that give the output), `norm` (all of a
    normalisation, its bias too), `bias`, `matrix` (stacked ones too, as an LSTM's), `convolution`, and `vector` (all
    else of one dimension or none). They are read off modules, names and shapes; the model is not run. What these do not
    settle is taken for a hidden layer's here, and stands in `doubts`. `overrides` gives roles by name or by pattern,
    as `{"layers.*.gate": "vector"}`; where several match, the last holds.

    Raises `UnknownNameError` for a role or a pattern that means nothing here, `ParameterError` for what is no module.

    >>> roles(nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2, bias=False)))
    {'0.weight': 'matrix', '0.bias': 'bias', '1.weight': 'norm', '1.bias': 'norm', '2.weight': 'head'}
    """
    return {name: finding.role for name, finding in _find(model, overrides).items()}


def doubts(model: nn.Module, *, overrides: Mapping[str, Role] = _NO_OVERRIDES) -> dict[str, Doubt]:
    """Parameters whose role `roles` can only guess, each with a sentence that says why and how to settle it.

    Between which roles a doubt is says its `options`.

    Mind them where it matters, as for a stage that steps matrices and must leave heads alone. Raises as `roles` does.

    >>> class Autoencoder(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.squeeze, self.restore = nn.Linear(8, 2), nn.Linear(2, 8)
    >>> doubts(Autoencoder())
    {'restore.weight': "`restore.weight` may be matrix or head (it is the last that was registered); say which, as
    overrides={'restore.weight': 'head'}"}
    """
    return {name: finding.doubt for name, finding in _find(model, overrides).items() if finding.doubt is not None}


def match(pattern: str, name: str) -> bool:
    """Whether a parameter's name fits a shell pattern: `*` stands for anything, dots too, `?` for one character.

    >>> match("layers.*.weight", "layers.11.attention.weight")
    True
    """
    return fnmatchcase(name, pattern)


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Those of the names that fit a shell pattern. Raises `UnknownNameError` if none does.

    >>> matching("layers.*.weight", ["layers.0.weight", "layers.0.bias", "layers.1.weight"])
    ['layers.0.weight', 'layers.1.weight']
    """
    known = list(names)
    found = [name for name in known if match(pattern, name)]
    if not found:
        alike = {re.sub(r"(?<=\.)\d+(?=\.)", "*", name) for name in known}
        raise UnknownNameError(f"`{pattern}` matches no parameter; {did_you_mean(pattern, alike)}")
    return found


def _find(model: nn.Module, overrides: Mapping[str, Role]) -> dict[str, _Finding]:
    if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
        raise ParameterError(f"roles are read off a module, and this is {type(model).__name__}; pass the model itself")
    modules = dict(model.named_modules(remove_duplicate=False))
    heads = find_heads(model)
    first_names = {id(parameter): name for name, parameter in model.named_parameters()}
    readings: dict[str, dict[str, _Finding]] = {name: {} for name in first_names.values()}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        readings[first_names[id(parameter)]][name] = _read(name, parameter, modules, heads)
    found = {name: _agree(name, by_name) for name, by_name in readings.items()}
    first_of = {alias: name for name, by_name in readings.items() for alias in by_name}
    for pattern, role in overrides.items():
        if role not in ROLES:
            raise UnknownNameError(f"overrides: `{pattern}` is to be {role!r}; {did_you_mean(str(role), ROLES)}")
        found |= {first_of[alias]: _Finding(role) for alias in matching(pattern, first_of)}
    return found


def _agree(name: str, readings: Mapping[str, _Finding]) -> _Finding:
    """What a parameter is that several modules share, by its names."""
    found = {reading.role for reading in readings.values()}
    if "embedding" in found and found <= {"embedding", "head", "matrix"}:
        return _Finding("embedding")  # a head tied to it, or a last layer not known for a head
    if len(found) == 1:
        return next((reading for reading in readings.values() if reading.doubt), readings[name])
    others = " and ".join(f"`{alias}`, a {reading.role}" for alias, reading in readings.items() if alias != name)
    further = cast("list[Role]", sorted(found - {readings[name].role}))
    return _doubtful(name, readings[name].role, f"it is also {others}", *further)


def _doubtful(name: str, role: Role, why: str, *others: Role) -> _Finding:
    return _Finding(role, Doubt.between(name, (role, *others), why))


def _read(name: str, parameter: Tensor, modules: Mapping[str, nn.Module], heads: Heads) -> _Finding:
    """What a parameter is under this name."""
    held_in = modules[name.rpartition(".")[0]]
    if isinstance(held_in, ParametrizationList):
        largest = max(original.numel() for original in held_in.parameters(recurse=False))
        if parameter.numel() < largest:
            return _Finding(_by_shape(parameter))  # as the length that `weight_norm` keeps apart from the direction
    place, own = _stands_for(name, modules)
    holder = modules[place]
    if isinstance(holder, _NORMS):
        return _Finding("norm")
    if isinstance(holder, nn.Embedding | nn.EmbeddingBag) and own in _WEIGHT_NAMES:
        return _Finding("embedding")
    if isinstance(holder, _LAYERS) and own in _WEIGHT_NAMES:
        return _read_layer(name, place, holder, heads)
    is_bias = _BIAS_NAME.fullmatch(own) is not None
    if isinstance(holder, _GATED) or (is_bias and isinstance(holder, _LAYERS)):
        return _Finding("bias" if is_bias else "vector" if own.endswith("_g") else "matrix")
    return _read_bare(name, parameter, own, place, modules)


def _stands_for(name: str, modules: Mapping[str, nn.Module]) -> tuple[str, str]:
    """The place of the module and its attribute that a parameter is, or is made into, or is listed in."""
    place, _, own = name.rpartition(".")
    if isinstance(modules[place], ParametrizationList):  # `layer.parametrizations.weight.original`
        place, _, own = place.rpartition(".")
        place = place.rpartition(".")[0]
    if isinstance(modules[place], nn.ParameterList):
        place, _, own = place.rpartition(".")
    return place, own


def _read_layer(name: str, place: str, layer: nn.Module, heads: Heads) -> _Finding:
    role: Role = "matrix" if isinstance(layer, LINEAR) else "convolution"
    if place in heads.certain:
        return _Finding("head")
    return _doubtful(name, role, heads.possible[place], "head") if place in heads.possible else _Finding(role)


def _read_bare(name: str, parameter: Tensor, own: str, place: str, modules: Mapping[str, nn.Module]) -> _Finding:
    """What a parameter is that a module of a kind we do not know holds itself."""
    holder = modules[place]
    kind, role = type(holder).__name__, _by_shape(parameter)
    if role == "vector" and _is_of_norm(holder, place.rpartition(".")[2], own):
        return _Finding("norm")
    if _BIAS_NAME.fullmatch(own):
        return _Finding("bias")
    if _EMBEDDING_NAME.search(own) or (role == "matrix" and _EMBEDDING_CLASS.search(kind)):
        return _Finding("embedding")
    if parameter.ndim > 2 and role == "matrix" and _CONVOLUTION_CLASS.search(kind):
        return _Finding("convolution")
    if role == "vector" or (parameter.ndim < 4 and _MATRIX_NAME.search(own) and is_in_blocks(place, modules)):
        return _Finding(role)  # a matrix is here that of a linear layer of somebody's own, or a stack of them
    size = "×".join(map(str, parameter.shape))
    return _doubtful(name, role, f"{size}, and {kind} holds it itself", "embedding", "head", "vector")


def _is_of_norm(holder: nn.Module, called: str, own: str) -> bool:
    is_named = _NORM_NAME.search(called) or _NORM_NAME.search(own)
    # what has parts is more than a norm, as `PreLayerNormModel`
    return bool(is_named or (_NORM_CLASS.search(type(holder).__name__) and next(holder.children(), None) is None))


def _by_shape(parameter: Tensor) -> Role:
    return "matrix" if sum(side != 1 for side in parameter.shape) > 1 else "vector"
