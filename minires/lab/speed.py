"""How fast this machine is, and how close a training step comes to what it allows."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minires import devices
from minires.autograd import EngineHook, Node, Op
from minires.devices import Device, get_num_threads
from minires.devices.precision import get_float32_matmul_precision
from minires.models import cifar_resnet, is_possible_depth
from minires.nn import Module
from minires.ops import cross_entropy, tensor
from minires.optim import SGD
from minires.training.machine import environment

from .device_floor import DeviceFloor, device_speed
from .floor import Copy, Floor, convolutions_of, side_by_side
from .timing import Job, finished, interleaved, wait

# The parts of a step that are told apart, by the device's kernels that they consist of. (An op may
# run several: `batch_norm_relu_conv2d` normalises and convolves.)
_PARTS = {
    "convolution": ("conv2d", "conv2d_relu"),
    "convolution backward": ("conv2d_backward", "conv2d_input", "conv2d_weight"),
    "batch norm": ("batch_norm", "batch_statistics", "normalize", "relu"),
    "batch norm backward": ("batch_norm_backward", "relu_backward"),
    "gradients summed": ("add",),
}


class TrainingStep:
    """One step of training on one batch of noise, to be timed.

    Parameters
    ----------
    model : Module
        Maps images to logits of 10 classes.
    batch, size : int
        Images (batch, 3, size, size).
    device : str or Device
        Where; the model is moved there.

    Attributes
    ----------
    images, labels : ndarray
        (batch, 3, size, size) float32 and (batch,) int64; the same for equal arguments.
    losses : list of float
        Of every step so far, before the step.
    """

    def __init__(
        self, model: Module, batch: int, size: int = 32, device: str | Device = "cpu"
    ) -> None:
        self.device = devices.get(device)
        self.model = model.to(self.device)
        self.images, self.labels = noise(batch, size)
        self._x, self._y = (tensor(each, device=self.device) for each in (self.images, self.labels))
        self._optimizer = SGD(model.parameters(), lr=0.002, momentum=0.9)
        self.losses: list[float] = []

    def __call__(self, profile: OpTimes | None = None) -> None:
        """Take a step; a profile is told of the parts that are no ops."""
        self._optimizer.zero_grad()
        loss = cross_entropy(self.model(self._x), self._y)
        loss.backward()
        if profile:
            profile.credit("gradients summed")
        self._optimizer.step()
        if profile:
            profile.credit("optimizer")
        self.losses.append(loss.item())


def noise(batch: int, size: int) -> tuple[Any, Any]:
    """Return images (batch, 3, size, size) of noise and labels (batch,), always the same."""
    random = np.random.default_rng(0)
    images = random.standard_normal((batch, 3, size, size), np.float32)
    return images, random.integers(0, 10, batch)


class OpTimes(EngineHook):
    """Where time goes: each moment credits what passed since the one before to what just ran.

    A forward op is credited under its name, a VJP under its name and "backward", and what the
    engine does in between (adding the contributions that meet, storing gradients) under
    "gradients summed". What Python does on the way to an op counts as the op's.

    Attributes
    ----------
    seconds : dict of str to float

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.ones(3, requires_grad=True)
    >>> with OpTimes() as times:
    ...     (x * x).sum().backward()
    >>> sorted(times.seconds)
    ['gradients summed', 'mul', 'mul backward', 'sum', 'sum backward']
    """

    keeps_fused = True

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def __enter__(self) -> OpTimes:
        """Begin to look on."""
        super().__enter__()
        self._last = time.perf_counter()
        return self

    def credit(self, name: str) -> None:
        """Credit the time since the last moment to `name`."""
        now = time.perf_counter()
        self.seconds[name] += now - self._last
        self._last = now

    def op_ran(self, op: Op[Any], inputs: tuple[Any, ...], output: Any, node: Node | None) -> None:
        """Credit a forward op."""
        self.credit(op.name)

    def vjp_ran(self, node: Node, g: Any, contributions: tuple[Any, ...]) -> None:
        """Credit the VJP of an op."""
        assert node.op is not None
        self.credit(f"{node.op.name} backward")

    def contributions_met(self, node: Node, contributions: list[Any], total: Any) -> None:
        """Credit the sum of what met."""
        self.credit("gradients summed")


def breakdown(step: TrainingStep, steps: int) -> dict[str, float]:
    """Return the milliseconds of each op in the quickest of `steps` steps, longest first."""
    found = []
    for _ in range(steps):
        with OpTimes() as times:
            step(times)
        found.append(times.seconds)
    quickest = min(found, key=lambda seconds: sum(seconds.values()))
    return {name: 1e3 * quickest[name] for name in sorted(quickest, key=lambda n: -quickest[n])}


class KernelTimes:
    """The seconds spent in each part of a step, by the kernels called inside the block.

    A kernel that another one calls counts as part of that one. Batch norm is here with the
    addition and the ReLU of a block, which share its passes. On a GPU each kernel is waited for.

    Parameters
    ----------
    device : Device
        Whose kernels; the CPU's by default.

    Attributes
    ----------
    seconds : dict of str to float
        By the names of the parts.

    Examples
    --------
    >>> import minires as mr
    >>> with KernelTimes() as times:
    ...     y = mr.ops.conv2d(mr.ones(1, 1, 3, 3), mr.ones(1, 1, 2, 2))
    >>> max(times.seconds, key=times.seconds.get)
    'convolution'
    """

    def __init__(self, device: Device = devices.cpu) -> None:
        self.seconds = dict.fromkeys(_PARTS, 0.0)
        self._device = device
        self._inside = False

    def __enter__(self) -> KernelTimes:
        """Put a clock before every kernel."""
        for part, kernels in _PARTS.items():
            for kernel in kernels:
                setattr(self._device, kernel, self._timed(part, getattr(self._device, kernel)))
        return self

    def __exit__(self, *exception: object) -> None:
        """Take the clocks away."""
        for kernels in _PARTS.values():
            for kernel in kernels:
                delattr(self._device, kernel)

    def _timed(self, part: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            if self._inside:
                return kernel(*arguments, **options)
            self._inside, start = True, time.perf_counter()
            try:
                made = kernel(*arguments, **options)
                wait(self._device)
                return made
            finally:
                self.seconds[part] += time.perf_counter() - start
                self._inside = False

        return timed


def parts_of(step: TrainingStep, steps: int) -> dict[str, float]:
    """Return the milliseconds of the parts of the quickest of `steps` steps, "other" the last."""
    found = []
    for _ in range(steps):
        start = time.perf_counter()
        with KernelTimes(step.device) as times:
            step()
        total = time.perf_counter() - start
        found.append(times.seconds | {"other": total - sum(times.seconds.values())})
    quickest = min(found, key=lambda seconds: sum(seconds.values()))
    return {part: 1e3 * seconds for part, seconds in quickest.items()}


def machine_speed(number: int, side: int = 2048) -> dict[str, float]:
    """Measure the peak of matrix products and of copying, the best of three.

    Parameters
    ----------
    number : int
        Of threads, not more than the kernels use.
    side : int
        Of the matrices.

    Returns
    -------
    dict
        ``"sgemm_gflops"``, 10^9 operations a second in products of `side` x `side` float32
        matrices, one on every thread; and ``"copy_gbps"``, 10^9 bytes a second, read or written.
    """
    matrices = [tuple(np.ones((side, side), "f4") for _ in range(3)) for _ in range(number)]
    products = [partial(np.matmul, a, b, out=out) for a, b, out in matrices]
    copy, size = Copy(number), 256 << 20
    jobs = {"product": partial(side_by_side, products), "copy": partial(copy, size)}
    measured = interleaved(jobs, rounds=3, warm_up=1)
    return {
        "sgemm_gflops": 2e-9 * side**3 * number / min(measured.wall["product"]),
        "copy_gbps": 2e-9 * size / min(measured.wall["copy"]),
    }


def measure_speed(
    depth: int, batch: int, rounds: int, device: str | Device = "cpu"
) -> dict[str, Any]:
    """Measure a device, and beside each other a ResNet's training step and its floor.

    Parameters
    ----------
    depth : int
        Of the CIFAR network, 6n + 2.
    batch : int
        Images of 3 x 32 x 32 per step.
    rounds : int
        How often everything is measured.
    device : str or Device

    Returns
    -------
    dict
        Ready for JSON: rates of the CPU for one and for all threads, or of the GPU, times in
        milliseconds, the ratio of step to floor, and the milliseconds of each part of a step.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if not is_possible_depth(depth):
        raise ValueError(f"depth: {depth} is not possible; these networks have 6n + 2 layers")
    if batch < 1:
        raise ValueError(f"batch: must be at least 1, found {batch}")
    threads = get_num_threads()
    step = TrainingStep(cifar_resnet(depth, seed=0), batch, device=device)
    place: Any = step.device
    convolutions = convolutions_of(cifar_resnet(depth, seed=0), (3, 32, 32))
    on_cpu = place is devices.cpu
    floor = Floor(convolutions, batch) if on_cpu else DeviceFloor(convolutions, batch, place)
    jobs: dict[str, Job] = {"step": step, "products": floor.products, "traffic": floor.traffic}
    measured = interleaved({name: finished(job, place) for name, job in jobs.items()}, rounds)
    measured.add_sum("floor", ("products", "traffic"))
    by_op = breakdown(step, rounds)
    return {
        "schema": "minires.bench/1",
        "environment": environment(place),
        "settings": {
            "depth": depth,
            "batch": batch,
            "rounds": rounds,
            "threads": threads,
            "device": place.name,
            "precision": get_float32_matmul_precision(),
        },
        "machine": (
            {str(n): machine_speed(n) for n in sorted({1, threads})}
            if on_cpu
            else {place.name: device_speed(place)}
        ),
        "unit": "ms",
        "jobs": {name: measured.times(name, 1e3) for name in measured.wall},
        "images_per_second": batch / min(measured.wall["step"]),
        "step_to_floor": measured.ratio("step", to="floor"),
        "parts": parts_of(step, rounds),
        "ops": by_op,
    }
