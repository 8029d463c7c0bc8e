"""Who takes the step on the GPU: minires and PyTorch, from equal weights on equal data.

None of them looks at the loss in a timed step, for that would wait for the GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minires as mr
from minires import devices
from minires.lab.speed import noise
from minires.models import cifar_resnet
from minires.ops import cross_entropy, tensor
from minires.optim import SGD
from minires.training import Trainer

_LR, _MOMENTUM = 0.002, 0.9
# What both call the precisions: PyTorch's names, which are minires' too.
PRECISIONS = {"float32": "highest", "tf32": "high"}


class Steps:
    """Training steps on the GPU."""

    _loss: Any

    def __call__(self, count: int) -> None:
        """Order so many steps; they may still be computing afterwards."""
        for _ in range(count):
            self.step()

    def step(self) -> None:
        """Order a step."""
        raise NotImplementedError

    def loss(self) -> float:
        """Return the loss of the last step's batch, before the step; wait for it."""
        return float(self._loss.item())


class Eager(Steps):
    """minires, op by op."""

    def __init__(self, depth: int, batch: int) -> None:
        self.model = cifar_resnet(depth, seed=0).to("cuda")
        self.images, self.labels = (tensor(each, device="cuda") for each in noise(batch, 32))
        self.optimizer = SGD(self.model.parameters(), lr=_LR, momentum=_MOMENTUM)

    def step(self) -> None:
        """Order a step."""
        self.optimizer.zero_grad()
        self._loss = cross_entropy(self.model(self.images), self.labels)
        self._loss.backward()
        self.optimizer.step()


class Graphed(Eager):
    """minires, the whole step captured as a CUDA graph and launched again, as a `Trainer` does it.

    The trainer keeps the losses on the GPU, and reads them together when it is done.
    """

    def __init__(self, depth: int, batch: int) -> None:
        super().__init__(depth, batch)
        self._trainer = Trainer(self.model, self.optimizer, graph=True)

    def __call__(self, count: int) -> None:
        """Train on the batch so many times."""
        self._trainer.fit([(self.images, self.labels)] * count, epochs=1)

    def loss(self) -> float:
        """Return the loss of the last step's batch."""
        return self._trainer.history.loss[-1]


class Torch(Steps):
    """PyTorch; `compiled` as torch.compile(mode="reduce-overhead") does it, with CUDA graphs."""

    def __init__(self, depth: int, batch: int, compiled: bool) -> None:
        import torch

        from .twin import torch_twin

        self._torch = torch
        model: Any = torch_twin(cifar_resnet(depth, seed=0)).cuda()
        self._optimizer = torch.optim.SGD(model.parameters(), lr=_LR, momentum=_MOMENTUM)
        self._model = torch.compile(model, mode="reduce-overhead") if compiled else model
        self._images, self._labels = (torch.tensor(each).cuda() for each in noise(batch, 32))

    def step(self) -> None:
        """Order a step."""
        self._torch.compiler.cudagraph_mark_step_begin()
        self._optimizer.zero_grad()
        logits = self._model(self._images)
        self._loss = self._torch.nn.functional.cross_entropy(logits, self._labels)
        self._loss.backward()
        self._optimizer.step()


def contenders(depth: int, batch: int, with_torch: bool) -> dict[str, Callable[[], Steps]]:
    """Return how to make each contender, in the order of the table."""
    ours: dict[str, Callable[[], Steps]] = {
        "minires": lambda: Eager(depth, batch),
        "minires graph": lambda: Graphed(depth, batch),
    }
    if not with_torch:
        return ours
    return ours | {
        "torch": lambda: Torch(depth, batch, compiled=False),
        "torch compiled": lambda: Torch(depth, batch, compiled=True),
    }


def set_precision(precision: str, with_torch: bool) -> None:
    """Let both compute in float32, or with products in TF32; PyTorch's default is half of each."""
    mr.set_float32_matmul_precision(PRECISIONS[precision])
    if with_torch:
        import torch

        torch.set_float32_matmul_precision(PRECISIONS[precision])
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.benchmark = True  # its best algorithm for each convolution


def no_torch() -> str:
    """Say why PyTorch cannot take part; "" if it can."""
    try:
        import torch
    except ImportError:
        return "PyTorch is not installed"
    return "" if torch.cuda.is_available() else "this PyTorch has no CUDA"


class PeakMemory:
    """The most memory that the block needs at once, in megabytes, of minires and of PyTorch."""

    def __init__(self, with_torch: bool) -> None:
        self._with_torch = with_torch
        self.ours = self.torch = 0.0

    def __enter__(self) -> PeakMemory:
        """Begin to watch."""
        xp = devices.get("cuda").xp
        outer = self

        class Watch(xp.cuda.MemoryHook):  # type: ignore[misc,name-defined]
            name = "peak"
            used = 0

            def malloc_postprocess(self, **told: Any) -> None:
                self.used += told["mem_size"]
                outer.ours = max(outer.ours, self.used / 1e6)

            def free_postprocess(self, **told: Any) -> None:
                self.used -= told["mem_size"]

        self._hook = Watch()
        self._hook.__enter__()
        if self._with_torch:
            import torch

            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop watching."""
        self._hook.__exit__(*exception)
        if self._with_torch:
            import torch

            self.torch = (torch.cuda.max_memory_allocated() - self._before) / 1e6
