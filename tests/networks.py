"""Small models of the kinds that people train."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn


class MLP(nn.Module):
    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = (nn.Linear(a, b) for a, b in pairwise(widths))


class ConvNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3), nn.GroupNorm(4, 16)
        self.prelu = nn.PReLU()
        self.fc1, self.fc2 = nn.Linear(16 * 9, 32), nn.Linear(32, 10)


class TransformerClassifier(nn.Module):
    """On torch's own encoder, with a learned position and a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 16)
        self.pos_embed = nn.Parameter(torch.zeros(1, 20, 16))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 16))
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2)
        self.out = nn.Linear(16, 3)


class LanguageRNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 8)
        self.rnn = nn.LSTM(8, 12, num_layers=2, proj_size=4, bidirectional=True)
        self.decoder = nn.Linear(8, 50)


class Gain(nn.Module):
    """A norm as research code has it: a class of its own, without a bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class MyRMSNorm(Gain):
    pass


class Conv1D(nn.Module):
    """A linear layer as GPT-2's code has it: a bare matrix, in a class called otherwise."""

    def __init__(self, wide: int, gives: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(wide, gives)), nn.Parameter(torch.zeros(gives))


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1 = Gain(width)
        self.attn = nn.ModuleDict({"c_attn": Conv1D(width, 3 * width), "c_proj": Conv1D(width, width)})
        self.ffn_norm = MyRMSNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        self.layer_scale = nn.Parameter(torch.ones(width))
        self.temperature = nn.Parameter(torch.ones(()))


class TinyGPT(nn.Module):
    def __init__(self, *, tied: bool, head_first: bool = False) -> None:
        super().__init__()
        if head_first:
            self.lm_head = nn.Linear(8, 40, bias=False)
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(40, 8),
                "wpe": nn.Embedding(16, 8),
                "h": nn.ModuleList(Block(8) for _ in range(2)),
                "ln_f": Gain(8),
            }
        )
        if not head_first:
            self.lm_head = nn.Linear(8, 40, bias=False)
        if tied:
            self.lm_head.weight = self.transformer["wte"].weight  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
