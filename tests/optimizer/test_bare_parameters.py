"""The roles of parameters that modules of no kind we know hold themselves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from thalweg.optimizer.roles import Role, doubts, roles


class Bare(nn.Module):
    """Parameters that the model holds itself."""

    def __init__(self) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.zeros(4, 5))
        self.latents = nn.Parameter(torch.zeros(1, 3, 4))
        self.kernel4d = nn.Parameter(torch.zeros(4, 4, 3, 3))
        self.relative_position_bias_table = nn.Parameter(torch.zeros(9, 2))
        self.gate_bias = nn.Parameter(torch.zeros(1, 5))
        self.norm_gain = nn.Parameter(torch.ones(4))
        self.gamma = nn.Parameter(torch.ones(4, 1, 1))
        self.biases = nn.ParameterList(torch.zeros(4) for _ in range(2))
        self.position_embeddings = nn.ParameterList(torch.zeros(4, 4) for _ in range(2))


def test_a_bare_parameter_is_read_by_name_and_shape_and_a_bare_matrix_is_a_guess() -> None:
    model = Bare()
    assert roles(model) == {
        "W": "matrix",
        "latents": "matrix",
        "kernel4d": "matrix",
        "relative_position_bias_table": "embedding",
        "gate_bias": "bias",
        "norm_gain": "norm",
        "gamma": "vector",
        **{f"biases.{i}": "bias" for i in (0, 1)},
        **{f"position_embeddings.{i}": "embedding" for i in (0, 1)},
    }
    assert set(doubts(model)) == {"W", "latents", "kernel4d"}
    assert doubts(model)["W"] == (
        "`W` may be matrix or embedding or head or vector (4×5, and Bare holds it itself); "
        "say which, as overrides={'W': 'embedding'}"
    )


class Mixer(nn.Module):
    """A block that holds parameters itself."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.part = nn.Identity()
        for name, shape in shapes.items():
            setattr(self, name, nn.Parameter(torch.zeros(shape)))


BARE: list[tuple[str, tuple[int, ...], Role, bool]] = [
    ("in_proj_weight", (8, 4), "matrix", False),
    ("experts_down_proj", (8, 4, 4), "matrix", False),
    ("w1", (8, 4), "matrix", False),
    ("weight", (8, 4, 3, 3), "matrix", True),
    ("A_log", (8, 4), "matrix", True),
    ("A_log", (8, 1), "vector", False),
    ("gate", (), "vector", False),
    ("pos", (9, 4), "embedding", False),
    ("mask_token", (1, 1, 4), "embedding", False),
    ("rel_table", (9, 2), "embedding", False),
    ("q_bias", (4,), "bias", False),
    ("ln_weight", (4,), "norm", False),
    ("mlp_norm", (1, 4), "norm", False),
    ("abnormal", (4,), "vector", False),
]


@pytest.mark.parametrize(("name", "shape", "role", "is_guess"), BARE, ids=[f"{n}, {s}" for n, s, _, _ in BARE])
def test_what_a_block_holds_itself_is_read_by_name_and_shape(
    name: str, shape: tuple[int, ...], role: Role, is_guess: bool
) -> None:
    model = nn.ModuleList([Mixer(**{name: shape}), Mixer(**{name: shape})])
    assert roles(model) == {f"0.{name}": role, f"1.{name}": role}
    assert set(doubts(model)) == ({f"0.{name}", f"1.{name}"} if is_guess else set())
    assert doubts(model, overrides={f"*.{name}": "vector"}) == {}


def test_a_layers_further_parameters_are_read_by_shape() -> None:
    class LoRALinear(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 4)
            self.lora_A, self.magnitude = nn.Parameter(torch.zeros(2, 4)), nn.Parameter(torch.ones(4, 1))

    class ConvLike(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4, 4, 3, 3))

    assert roles(nn.Sequential(LoRALinear(), nn.Linear(4, 2)))["0.magnitude"] == "vector"
    assert roles(nn.Sequential(LoRALinear(), nn.Linear(4, 2)))["0.lora_A"] == "matrix"
    assert roles(ConvLike())["weight"] == "convolution"
