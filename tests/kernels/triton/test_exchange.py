"""What host and device tell each other: copied when it changed, and for each CUDA graph apart."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from thalweg.errors import BackendError
from thalweg.kernels.triton import exchange
from thalweg.kernels.triton.exchange import Mirror, Notes

CPU = torch.device("cpu")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    objects: list[object] = []
    monkeypatch.setattr(exchange, "_kept", objects)
    return objects


def test_the_device_has_what_the_host_has_when_it_is_asked_for() -> None:
    host = np.zeros(3)
    mirror = Mirror(host, CPU)
    assert mirror.on_device().tolist() == [0, 0, 0]
    host[1] = 5
    copy = mirror.on_device()
    assert copy.tolist() == [0, 5, 0]
    host[2] = 7
    assert copy.tolist() == [0, 5, 0]
    assert mirror.on_device().tolist() == [0, 5, 7]


def test_nothing_is_copied_that_has_not_changed() -> None:
    mirror = Mirror(np.arange(3.0), CPU)
    copy = mirror.on_device()
    copy.fill_(-1)  # so that another copy would be seen
    assert mirror.on_device().tolist() == [-1, -1, -1]


def test_a_graph_has_its_own_copy_which_later_steps_leave_alone(
    monkeypatch: pytest.MonkeyPatch, kept: list[object]
) -> None:
    host = np.array([1.0, 2.0])
    mirror = Mirror(host, CPU, for_graphs=True)
    usual = mirror.on_device()
    monkeypatch.setattr(exchange, "is_capturing", lambda _: True)
    host[0] = 3
    of_graph = mirror.on_device()
    monkeypatch.undo()
    assert of_graph.tolist() == [3, 2]
    assert usual.tolist() == [1, 2]
    host[0] = 4
    assert mirror.on_device() is usual
    assert of_graph.tolist() == [3, 2]


def test_a_graph_cannot_be_captured_unprepared(monkeypatch: pytest.MonkeyPatch, kept: list[object]) -> None:
    prepared, unprepared = (Mirror(np.zeros(1), CPU, for_graphs=graphs) for graphs in (True, False))
    for mirror in (prepared, unprepared):
        mirror.on_device()
    monkeypatch.setattr(exchange, "is_capturing", lambda _: True)
    prepared.on_device()
    for mirror in (prepared, unprepared):
        with pytest.raises(BackendError, match="not prepared for it; make a step with the same parameters outside"):
            mirror.on_device()


def test_the_first_note_is_given_once() -> None:
    notes = Notes(5, CPU)
    assert notes.first() is None
    notes.words[3] = notes.words[1] = 1
    assert notes.first() == 1
    assert notes.first() is None


@pytest.mark.parametrize("pending", [True, False])
def test_words_that_a_kernel_may_still_write_to_are_kept(pending: bool) -> None:
    notes = Notes(5, CPU)
    notes.are_pending = pending
    words = notes.words
    del notes
    gc.collect()
    found = [kept for kept in exchange._kept if kept is words]
    assert bool(found) == pending
    for _ in found:
        exchange._kept.remove(words)
