from __future__ import annotations

import getpass
import json
import platform
import socket

import torch

from thalweg.lab.machine import describe_machine, describe_versions


def test_a_machine_is_described_by_its_processor_cores_memory_and_system() -> None:
    machine = describe_machine()
    assert machine.keys() == {"cpu", "cores", "threads", "memory_gib", "system"}
    assert machine["cpu"]
    assert 1 <= machine["cores"] <= machine["threads"]
    assert machine["memory_gib"] > 0


def test_neither_the_machine_nor_its_user_is_named() -> None:
    words = json.dumps(describe_machine()).lower().split()
    assert socket.gethostname().lower() not in words
    assert getpass.getuser().lower() not in words


def test_the_versions_are_those_that_run() -> None:
    versions = describe_versions()
    assert versions["python"] == platform.python_version()
    assert versions["torch"] == torch.__version__
    assert versions.keys() == {"python", "thalweg", "torch", "numpy", "numba", "scipy"}
