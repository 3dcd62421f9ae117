"""Learn where to start and how far to step, by going backward through five steps of descent: MAML, and its rates.

Each task is a sine wave of its own height and shift, known at ten points (Finn et al. 2017, arXiv:1703.03400). Every
element of every parameter has a learning rate of its own, learned with its start (Li et al. 2017, arXiv:1707.09835).
`python examples/learn_a_learning_rate.py` takes a few seconds.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

import thalweg as tw


def draw_tasks(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points (count, 20, 1) and the sine waves' values there: ten to learn from, ten to be judged by."""
    x = 10 * torch.rand(count, 20, 1, generator=generator) - 5
    height, shift = torch.rand(2, count, 1, 1, generator=generator)
    return x, (0.1 + 4.9 * height) * torch.sin(x - torch.pi * shift)


def make_model() -> nn.Module:
    """A function of one number."""
    return nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))


def learn(steps: int = 200, tasks: int = 16, seed: int = 0) -> tuple[float, float, dict[str, Tensor]]:
    """The loss on unseen tasks after five inner steps, before learning and after, and the rates that were learned."""
    torch.manual_seed(seed)
    model = make_model()
    start = dict(model.named_parameters())
    rates = {name: torch.full_like(parameter, 0.01, requires_grad=True) for name, parameter in start.items()}
    inner = tw.functional(tw.chain(tw.gradient_descent(), tw.step(0.01)))
    outer = tw.Optimizer([*start.values(), *rates.values()], tw.chain(tw.clip(1.0), tw.adam(), tw.step(5e-3)))

    def loss(params: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return (functional_call(model, params, (x,)) - y).square().mean()

    def adapted_loss(x: Tensor, y: Tensor) -> Tensor:
        params, state = start, inner.init(start)
        for _ in range(5):
            params, state = inner.step(params, grad(loss)(params, x[:10], y[:10]), state, lr=rates)
        return loss(params, x[10:], y[10:])

    generator, unseen = torch.Generator().manual_seed(seed), draw_tasks(500, torch.Generator().manual_seed(seed + 1))
    before = vmap(adapted_loss)(*unseen).mean().item()
    for _ in range(steps):
        outer.zero_grad()
        vmap(adapted_loss)(*draw_tasks(tasks, generator)).mean().backward()
        outer.step()
    return before, vmap(adapted_loss)(*unseen).mean().item(), rates


if __name__ == "__main__":
    torch.set_num_threads(1)  # tensors as small as these gain nothing from more
    before, after, rates = learn()
    print(f"loss on unseen tasks after five steps: {before:.3f} before learning, {after:.3f} after")
    for name, rate in rates.items():
        print(f"{name:9} rates {rate.min():7.4f} to {rate.max():.4f}, on average {rate.mean():7.4f}")
