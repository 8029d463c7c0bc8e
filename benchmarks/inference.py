"""Inference in evaluation mode, with batch normalisation as it is and folded, beside PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import minires as mr
from minires.lab.speed import noise

from .measure import paired
from .training import LAYOUTS
from .twin import torch_twin


def inference(batch: int, rounds: int) -> dict[str, Any]:
    """Measure ResNet-20 on images of 32x32.

    Raises
    ------
    RuntimeError
        If two of the models give different logits.
    """
    images, _ = noise(batch, 32)
    x = mr.tensor(images)
    model = mr.models.cifar_resnet(20, seed=0)
    model(x)  # gives the running statistics something to say
    model.eval()
    ours = {"minires": model, "minires folded": mr.nn.fold_batch_norm(model, x[:1])}
    outputs: dict[str, Any] = {}

    def job(name: str, network: Any, x: Any) -> Any:
        def run() -> None:
            with torch.no_grad(), mr.no_grad():
                outputs[name] = network(x)

        return run

    jobs = {name: job(name, network, x) for name, network in ours.items()}
    for name, layout in LAYOUTS.items():
        network = torch_twin(model).eval().to(memory_format=layout)
        jobs[name] = job(name, network, torch.tensor(images).to(memory_format=layout))
    measured = paired(jobs, rounds, ours=list(ours))
    for name, logits in outputs.items():
        if not np.allclose(logits.numpy(), outputs["minires"].numpy(), atol=1e-3, rtol=1e-3):
            raise RuntimeError(f"{name} gives other logits than minires, at batch {batch}")
    return {"batch": batch} | measured
