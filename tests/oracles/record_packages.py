"""What the published packages gave when they were run, and how to run them again.

None of them is needed: `recorded.json` holds the parameters that each gave after its last step in float64, and the
version that gave them. With all of them installed (`pip install optax timm dadaptation dog-optimizer prodigyopt
schedulefree pytorch-optimizer`), in the repository's root,

    PYTHONPATH=tests python -m oracles.record_packages

records them anew.
"""

from __future__ import annotations

import importlib
import json
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from oracles.packages import WITNESSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from oracles.packages import Witness
    from oracles.protocol import Array

RECORD = Path(__file__).with_name("recorded.json")


def run(witness: Witness) -> list[list[Array]]:
    """The package's own parameters after each step."""
    module, _, function = witness.name.partition(":")
    make = getattr(importlib.import_module(module), function)
    return _run_optax(witness, make) if witness.distribution == "optax" else _run_torch(witness, make)


def _run_torch(witness: Witness, make: Callable[..., Any]) -> list[list[Array]]:
    parameters = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in witness.start]
    rate = {} if witness.rate == 0 else {"lr": witness.rate}
    optimizer = make(parameters, **rate, **witness.theirs)
    if witness.distribution == "schedulefree":
        optimizer.train()
    path: list[list[Array]] = []
    for k, g in enumerate(witness.gradients):
        for group in optimizer.param_groups if rate else ():
            group["lr"] = witness.lr(k)
        for p, g_i in zip(parameters, g, strict=True):
            p.grad = torch.from_numpy(g_i.copy())
        optimizer.step()
        path.append([p.detach().numpy().copy() for p in parameters])
    return path


def _run_optax(witness: Witness, make: Callable[..., Any]) -> list[list[Array]]:
    import jax
    import jax.numpy as jnp
    import optax

    jax.config.update("jax_enable_x64", val=True)
    if witness.rule in {"clip", "normalised_descent"}:  # these have no rate of their own
        transform = optax.chain(make(**witness.theirs), optax.scale_by_learning_rate(witness.lr))
    else:
        transform = make(learning_rate=witness.lr, **witness.theirs)
    parameters = [jnp.asarray(p) for p in witness.start]
    state = transform.init(parameters)
    path: list[list[Array]] = []
    for g in witness.gradients:
        updates, state = transform.update([jnp.asarray(g_i) for g_i in g], state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        path.append([np.asarray(p) for p in parameters])
    return path


def recorded() -> dict[str, Any]:
    return json.loads(RECORD.read_text())


def record() -> None:
    """Run every package and write down what it gave, a line for each."""
    entries = {
        w.id: {
            "version": f"{w.distribution} {metadata.version(w.distribution)}",
            "parameters": [p.ravel().tolist() for p in run(w)[-1]],
        }
        for w in WITNESSES
    }
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in entries.items())
    RECORD.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    record()
