"""The training loops of Lightning and Hugging Face, where they are installed, and what they take for granted."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler
from torch.utils.data import DataLoader, TensorDataset

import thalweg as tw
from tolerances import TORCH, deviation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BATCHES, EPOCHS = 8, 4
STEPS = BATCHES * EPOCHS


class FollowTheChain(LRScheduler):
    """For loops that insist on a scheduler: the chain's own schedule sets the learning rate."""

    def get_lr(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1))


def examples() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8 * BATCHES, 5, generator=generator), torch.randn(8 * BATCHES, 1, generator=generator)


def drop_in(model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
    optimizer = tw.AdamW(model.parameters(), lr=0.01)
    return optimizer, CosineAnnealingLR(optimizer, STEPS)


def chained(model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
    optimizer = tw.Optimizer(model, tw.chain(tw.adam(), tw.decay(0.01), tw.step(0.01)))
    return optimizer, CosineAnnealingLR(optimizer, STEPS)


def scheduled(model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
    chain = tw.chain(tw.adam(), tw.decay(0.01), tw.step(tw.cosine(0.01, steps=STEPS)))
    optimizer = tw.Optimizer(model, chain)
    return optimizer, FollowTheChain(optimizer)


def torch_s(model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    return optimizer, CosineAnnealingLR(optimizer, STEPS)


OURS = pytest.mark.parametrize("make", [drop_in, chained, scheduled])


def fit_by_lightning(make: Callable[..., Any], epochs: int, folder: Path, start: Path | None = None, **how: Any) -> Any:  # noqa: ANN401
    lightning = pytest.importorskip("lightning", reason="Lightning is not installed: pip install lightning")

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def training_step(self, batch: Any, _: int) -> torch.Tensor:  # noqa: ANN401
            return (self.net(batch[0]) - batch[1]).square().mean()

        def configure_optimizers(self) -> dict[str, Any]:
            optimizer, scheduler = make(self.net)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", default_root_dir=folder, enable_checkpointing=False, **quiet, **how
    )
    module = Module()
    trainer.fit(module, DataLoader(TensorDataset(*examples()), batch_size=8), ckpt_path=start)
    trainer.save_checkpoint(folder / "last.ckpt")
    return list(module.parameters())


@OURS
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"precision": "bf16-mixed", "gradient_clip_val": 0.1},
        {"precision": "16-mixed", "accumulate_grad_batches": 2},
    ],
    ids=str,
)
def test_lightning_trains_with_ours_as_with_torch_s(
    make: Callable[..., Any], how: dict[str, Any], tmp_path: Path
) -> None:
    ours, theirs = (fit_by_lightning(one, EPOCHS, tmp_path, **how) for one in (make, torch_s))
    assert deviation(ours, theirs) <= 2 * TORCH[torch.float32]


@OURS
@pytest.mark.filterwarnings("ignore")
def test_lightning_resumes(make: Callable[..., Any], tmp_path: Path) -> None:
    expected = fit_by_lightning(make, EPOCHS, tmp_path)
    fit_by_lightning(make, EPOCHS // 2, tmp_path)
    assert deviation(fit_by_lightning(make, EPOCHS, tmp_path, tmp_path / "last.ckpt"), expected) == 0


def fit_by_hugging_face(
    make: Callable[..., Any], epochs: int, folder: Path, start: Path | None = None, **how: Any
) -> Any:  # noqa: ANN401
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install transformers")
    pytest.importorskip("accelerate", reason="accelerate is not installed: pip install accelerate")

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": (self.net(x) - labels).square().mean()}

    arguments = transformers.TrainingArguments(
        output_dir=str(folder), num_train_epochs=epochs, per_device_train_batch_size=8, save_strategy="epoch",
        report_to=[], disable_tqdm=True, use_cpu=True, logging_strategy="no", **how,
    )  # fmt: skip
    model = Model()
    rows = [{"x": x, "labels": y} for x, y in zip(*examples(), strict=True)]
    trainer = transformers.Trainer(model=model, args=arguments, train_dataset=rows, optimizers=make(model))
    trainer.train(resume_from_checkpoint=None if start is None else str(start))
    return list(model.parameters())


@OURS
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", [{}, {"gradient_accumulation_steps": 2, "max_grad_norm": 0.1}], ids=str)
def test_hugging_face_trains_with_ours_as_with_torch_s(
    make: Callable[..., Any], how: dict[str, Any], tmp_path: Path
) -> None:
    ours, theirs = (fit_by_hugging_face(one, EPOCHS, tmp_path / one.__name__, **how) for one in (make, torch_s))
    assert deviation(ours, theirs) <= 2 * TORCH[torch.float32]


@OURS
@pytest.mark.filterwarnings("ignore")
def test_hugging_face_resumes(make: Callable[..., Any], tmp_path: Path) -> None:
    expected = fit_by_hugging_face(make, EPOCHS, tmp_path / "whole")
    half = tmp_path / "whole" / f"checkpoint-{STEPS // 2}"
    assert deviation(fit_by_hugging_face(make, EPOCHS, tmp_path / "again", half), expected) == 0


def closure_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> Callable[[], torch.Tensor]:
    x, y = examples()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        return loss

    return closure


@OURS
def test_a_closure_may_be_a_keyword_and_runs_with_autograd(make: Callable[..., Any]) -> None:
    model = net()
    optimizer, _ = make(model)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with torch.no_grad():
        loss = optimizer.step(closure=closure_of(model, optimizer))
    assert loss.requires_grad
    assert deviation(model.parameters(), before) > 0


@OURS
def test_a_state_goes_through_a_file_without_code_and_back(make: Callable[..., Any]) -> None:
    model, again = net(), net()
    (optimizer, scheduler), (resumed, position) = make(model), make(again)
    for _ in range(3):
        optimizer.step(closure_of(model, optimizer))
        scheduler.step()
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "own": optimizer.state_dict(), "at": scheduler.state_dict()}, file)
    saved = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    again.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["own"])
    position.load_state_dict(saved["at"])
    for _ in range(3):
        for one, its, at in ((optimizer, model, scheduler), (resumed, again, position)):
            one.step(closure_of(its, one))
            at.step()
    assert deviation(again.parameters(), model.parameters()) == 0


def test_an_optimizer_that_loads_what_it_has_itself_goes_on() -> None:
    model, other = net(), net()
    (optimizer, _), (undisturbed, _) = scheduled(model), scheduled(other)
    for _ in range(4):
        optimizer.load_state_dict(optimizer.state_dict())  # as accelerate does, to place states on a device
        optimizer.step(closure_of(model, optimizer))
        undisturbed.step(closure_of(other, undisturbed))
    assert deviation(model.parameters(), other.parameters()) == 0


def test_a_first_step_without_rate_and_gradient_makes_states_and_moves_nothing() -> None:
    model = net()
    chain = tw.chain(tw.adam(), tw.decay(0.5), tw.step(tw.cosine(0.1, steps=10)), tw.decoupled_decay(0.5))
    optimizer = tw.Optimizer(model, chain)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    rate, optimizer.param_groups[0]["lr"] = optimizer.param_groups[0]["lr"], 0.0
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()  # as torch.distributed.checkpoint does, to have states that it can load into
    optimizer.param_groups[0]["lr"] = rate
    assert deviation(model.parameters(), before) == 0
    assert optimizer.param_groups[0]["steps"] == 0
    assert [sorted(state) for state in optimizer.state.values()] == [["m", "step", "v"]] * 4
    optimizer.step(closure_of(model, optimizer))
    fresh = net()
    expected = tw.Optimizer(fresh, chain)
    expected.step(closure_of(fresh, expected))
    assert deviation(model.parameters(), fresh.parameters()) == 0
