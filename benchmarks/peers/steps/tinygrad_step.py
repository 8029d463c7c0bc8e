"""A training step of ResNet-20 in tinygrad: its CPU device, with its JIT, without kernel search."""

from __future__ import annotations

import os
import shutil
import sys

compiler = os.environ.get("CC", "clang")
if shutil.which(compiler) is None:
    sys.exit(f"tinygrad's CPU device compiles with {compiler}, and there is none on PATH")
os.environ.update(DEV="CPU", BEAM="0", JIT="1")  # read by tinygrad when it is imported

from child import load, serve  # noqa: E402
from network import EPS, LEARNING_RATE, MOMENTUM, features, parameters  # noqa: E402
from tinygrad import Context, Tensor, TinyJit, nn  # noqa: E402

images, labels, weights = load()
x, y = Tensor(images).realize(), Tensor(labels.astype("int32")).realize()
params = {name: Tensor(array).realize() for name, array in parameters(weights).items()}
norms = {}
for running_mean in [name for name in weights if name.endswith("running_mean")]:
    name = running_mean.removesuffix(".running_mean")
    norms[name] = nn.BatchNorm2d(len(weights[running_mean]), eps=EPS)
    norms[name].weight, norms[name].bias = params[f"{name}.weight"], params[f"{name}.bias"]
statistics = [t for norm in norms.values() for t in (norm.running_mean, norm.running_var)]
optimizer = nn.optim.SGD([*params.values(), *statistics], lr=LEARNING_RATE, momentum=MOMENTUM)


def conv(name: str, x: Tensor, stride: int) -> Tensor:
    """Convolve 3x3."""
    return x.conv2d(params[f"{name}.weight"], stride=stride, padding=1)


def norm(name: str, x: Tensor) -> Tensor:
    """Normalize over the batch."""
    return norms[name](x)


def shortcut(x: Tensor) -> Tensor:
    """Sample and pad with zero channels."""
    half = x.shape[1] // 2
    return x[:, :, ::2, ::2].pad((None, (half, half), None, None))


@TinyJit
def compiled_step() -> Tensor:
    """Make a training step; the third call and later ones replay what the second recorded."""
    optimizer.zero_grad()
    pooled = features(x, conv, norm, Tensor.relu, shortcut).mean(axis=(2, 3))
    logits = pooled.linear(params["fc.weight"].T, params["fc.bias"])
    loss = logits.sparse_categorical_crossentropy(y).backward()
    return loss.realize(*optimizer.schedule_step())


def step() -> float:
    """Make a training step and return its loss, once it is computed."""
    with Context(TRAINING=1):
        return float(compiled_step().item())


serve("tinygrad", step)
