"""An optimizer's state that notes when somebody has changed it, so that no step need look for changes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor


class Note:
    """Whether something has changed."""

    changed = False


class WatchedDict(dict[str, Any]):
    """One parameter's state. It is pickled and copied as an ordinary dictionary."""

    def __init__(self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]], note: Note) -> None:
        super().__init__(entries)
        self._note = note

    def __setitem__(self, name: str, value: Any) -> None:  # noqa: ANN401  # a state may be anything
        self._note.changed = True
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        self._note.changed = True
        super().__delitem__(name)

    def setdefault(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        """As `dict.setdefault`."""
        self._note.changed = True
        return super().setdefault(name, default)

    def pop(self, *arguments: Any) -> Any:  # noqa: ANN401
        """As `dict.pop`."""
        self._note.changed = True
        return super().pop(*arguments)

    def clear(self) -> None:
        """As `dict.clear`."""
        self._note.changed = True
        super().clear()

    def update(self, *arguments: Any, **entries: Any) -> None:
        """As `dict.update`."""
        self._note.changed = True
        super().update(*arguments, **entries)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        from copy import deepcopy  # noqa: PLC0415  # seldom needed

        return deepcopy(dict(self), memo)


class WatchedState(defaultdict["Tensor", dict[str, Any]]):
    """The states of all parameters, as `torch.optim.Optimizer.state`; `note` says whether they have been changed."""

    def __init__(self, states: Mapping[Tensor, Mapping[str, Any]]) -> None:
        self.note = Note()
        super().__init__(dict)
        for parameter, state in states.items():
            self[parameter] = dict(state) if isinstance(state, dict) else state

    def __setitem__(self, parameter: Tensor, state: Any) -> None:  # noqa: ANN401
        self.note.changed = True
        super().__setitem__(parameter, WatchedDict(state, self.note) if isinstance(state, dict) else state)

    def __missing__(self, parameter: Tensor) -> dict[str, Any]:
        self[parameter] = {}
        return self[parameter]

    def __delitem__(self, parameter: Tensor) -> None:
        self.note.changed = True
        super().__delitem__(parameter)

    def pop(self, *arguments: Any) -> Any:  # noqa: ANN401
        """As `dict.pop`."""
        self.note.changed = True
        return super().pop(*arguments)

    def clear(self) -> None:
        """As `dict.clear`."""
        self.note.changed = True
        super().clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return defaultdict, (dict, {parameter: dict(state) for parameter, state in self.items()})
