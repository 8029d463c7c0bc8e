"""C: what a short explanation with code says."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from minires import nn, ops
from minires.autograd import AutogradError, Tensor
from minires.devices import float64, random
from minires.lab.experiments import forgetting
from minires.lab.experiments.degradation import DEEPER_IS_WORSE, GAP
from minires.lab.experiments.gradient_norms import NOT_VANISHING
from minires.lab.learning import Recipe
from minires.lab.rules import Above, Below, Equal, Every, Given, Measured
from minires.models import CifarResNet, cifar_resnet
from minires.trace import Trace

from .gradients import (
    ROUNDING,
    SEEDS,
    drawn,
    first_over_last,
    gradient,
    norm,
    plain_56_gradients,
    recorded,
)
from .graphs import counted, kernels, numbers, ways
from .item import Items, Lab
from .papers import HE2015, HE2016
from .trainings import detected, last_loss, perceptron, taught

ITEMS = Items()
_SLOWER = "training error with the squared error of logits less that with cross-entropy"
NORM_56 = "first layer's gradient over the last's, plain-56 with BN at initialisation"


@ITEMS.experiment(
    "C1",
    "The problem that is solved is the vanishing gradient.",
    "misleading",
    "The aim was degradation: deeper plain networks train worse. Batch normalisation and He's"
    " initialisation already keep gradients from vanishing (though not from exploding at"
    " initialisation in deep plain networks).",
    f"{HE2015}, sections 1 and 4.1",
    Every(DEEPER_IS_WORSE, Above(GAP), Above(NORM_56, 1), NOT_VANISHING),
)
def _c1(lab: Lab) -> Measured:
    trained, norms = lab.measured("degradation"), lab.measured("gradient-norms")
    return {
        **{name: trained[name] for name in (*DEEPER_IS_WORSE.quantities, GAP)},
        NORM_56: plain_56_gradients(),
        **{name: norms[name] for name in NOT_VANISHING.quantities},
    }


@ITEMS.experiment(
    "C2",
    "Catastrophic forgetting is a difficulty of deep networks.",
    "false",
    "It belongs to learning one task after another, at any depth.",
    "McCloskey and Cohen 1989; Goodfellow et al. 2013, arXiv 1312.6211",
    Every(forgetting.FORGETS, forgetting.ALIKE),
)
def _c2(lab: Lab) -> Measured:
    found = lab.measured("forgetting")
    return {name: found[name] for name in (*forgetting.FORGETS.quantities, forgetting.SPEED)}


@ITEMS.experiment(
    "C3",
    "Information is passed directly from later layers to earlier ones.",
    "false",
    "Values go from early to late, gradients from late to early.",
    f"{HE2015}, section 3; Rumelhart et al. 1986",
    Every(
        Equal("steps that read what a later step makes", 0),
        Equal("early values that change with the last block's weights", 0),
        Equal("late values that do not change with the first layer's weights", 0),
        Equal("early gradients that do not change with the last block's weights", 0),
        Equal("order of the layers' gradients", "from the last layer to the first"),
    ),
)
def _c3(lab: Lab) -> Measured:
    def traced(changed: str = "") -> Trace:
        model = cifar_resnet(8, width=4, seed=0)
        for name, weight in model.named_parameters():
            if name == changed:
                weight.copy_(ops.flip(weight.detach(), 0))
        return recorded(model, 4, 3, 16, 16)

    as_it_was, last, first = traced(), traced("layer3.0.conv2.weight"), traced("conv1.weight")

    def unlike(other: Trace, part: str, which: str) -> list[bool]:
        pairs = zip(as_it_was.records.values, other.records.values, strict=True)
        return [
            getattr(one, which) != getattr(two, which)
            for one, two in pairs
            if one.kind == "result" and one.name.startswith(part)
        ]

    records = as_it_was.records
    made_by = {step.output: step.index for step in records.forward}
    order = [
        value.op
        for step in records.backward
        if step.op is not None and (value := records.values[step.value]).op is not None
    ]
    backwards = all(later > earlier for later, earlier in pairwise(order))
    return {
        "steps that read what a later step makes": sum(
            made_by.get(operand.value, -1) >= step.index
            for step in records.forward
            for operand in step.operands
            if operand.value is not None
        ),
        "early values that change with the last block's weights": sum(
            unlike(last, "layer1", "stats")
        ),
        "late values that do not change with the first layer's weights": sum(
            not each for each in unlike(first, "layer3", "stats")
        ),
        "early gradients that do not change with the last block's weights": sum(
            not each for each in unlike(last, "layer1", "gradient")
        ),
        "order of the layers' gradients": (
            "from the last layer to the first" if backwards else "another"
        ),
    }


class AsStated(nn.BasicBlock):
    """Activation(BN(Conv(x + F(x)))) with F = BN(Conv(x)): the layers of a basic block."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, channels, H/stride, W/stride)."""
        shortcut = self.downsample
        assert shortcut is not None
        summed = ops.residual_add(shortcut(x), self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(summed)))  # type: ignore[no-any-return]


@ITEMS.experiment(
    "C4",
    "Layer = Activation(BN(Conv(x + F(x)))), where F is the skip connection.",
    "false",
    "y = relu(x + F(x)) with F = BN(Conv(relu(BN(Conv(x))))), and the skip is x. As stated, the"
    " shortcut passes through a convolution, BN and the activation: no identity path remains:"
    " 27 such blocks train worse than a ResNet's, and their gradient grows as in a plain network.",
    f"{HE2015}, equation 1; {HE2016}, section 3",
    Every(
        Below("change of x >= 0 by a residual block whose F is 0", ROUNDING),
        Above("change of x >= 0 by a block as stated whose F is 0", 0.1),
        Above("training loss as stated less that of ResNet-56"),
        Given(
            Above("growth in plain-32 over that in ResNet-56", 3),
            Above("growth of the gradient: 0 as in ResNet-56, 1 as in plain-32", 0.5),
        ),
    ),
)
def _c4(lab: Lab) -> Measured:
    growth: dict[str, list[float]] = {"plain": [], "plain-56": []}
    losses, plains = [], []
    for seed in SEEDS:
        made = {}
        for kind, block in {
            "residual": nn.BasicBlock,
            "plain": nn.BasicBlock,
            "plain-56": nn.BasicBlock,
            "": AsStated,
        }.items():
            with random.seeded(seed):
                shortcut = None if kind.startswith("plain") else "A"
                # The stated blocks have 27 convolutions in a row, a plain-32 has 30.
                blocks = 5 if kind == "plain" else 9
                depth = 6 * blocks + 2
                made[kind] = CifarResNet(depth, blocks, block, shortcut, width=4, in_channels=1)
        size = {kind: math.log(first_over_last(model)) for kind, model in made.items()}
        for plain, found in growth.items():
            whole = size[plain] - size["residual"]
            found.append(round((size[""] - size["residual"]) / whole, 3))
        plains.append(round(math.exp(size["plain"] - size["residual"]), 3))
        loss = {kind: last_loss(made[kind], 3, seed) for kind in ("residual", "")}
        losses.append(round(loss[""] - loss["residual"], 4))
    return {
        "change of x >= 0 by a residual block whose F is 0": _changed(nn.BasicBlock, "bn2"),
        "change of x >= 0 by a block as stated whose F is 0": _changed(AsStated, "bn1"),
        "growth of the gradient: 0 as in ResNet-56, 1 as in plain-32": growth["plain"],
        "the same, 1 as in plain-56": growth["plain-56"],
        "growth in plain-32 over that in ResNet-56": plains,
        "training loss as stated less that of ResNet-56": losses,
    }


def _changed(block: type[nn.BasicBlock], last: str) -> float:
    """Return by how much a block changes an x >= 0 once the last norm of its F is 0."""
    with random.seeded(0):
        made = block(4, 4).to(float64)
    nn.init.zeros_(getattr(made, last).weight)
    x = ops.relu(drawn(2, 4, 8, 8))
    return norm(made(x) - x) / norm(x)


@ITEMS.experiment(
    "C5",
    "ResNet-50 and ResNet-101 see several scales, by convolutions of different sizes.",
    "false",
    "Both have the same kernels, 7x7, 3x3 and 1x1, one after the other, and differ in depth."
    " Several sizes side by side is Inception.",
    f"{HE2015}, table 1; Szegedy et al. 2014, arXiv 1409.4842, figure 2",
    Every(
        Equal("sides of the kernels of ResNet-50", [1, 3, 7]),
        Equal("sides of the kernels of ResNet-101", [1, 3, 7]),
        Equal("layers of ResNet-50 and ResNet-101", [50, 101]),
        Equal("concatenations in ResNet-50 and ResNet-101", 0),
    ),
)
def _c5(lab: Lab) -> Measured:
    counts = {name: counted(name.lower().replace("-", "")) for name in ("ResNet-50", "ResNet-101")}
    return {
        **{
            f"sides of the kernels of {name}": sorted(
                set(kernels(each.steps, range(len(each.steps))))
            )
            for name, each in counts.items()
        },
        "layers of ResNet-50 and ResNet-101": [each.depth for each in counts.values()],
        "concatenations in ResNet-50 and ResNet-101": sum(
            len(numbers(each.steps, "concatenate")) for each in counts.values()
        ),
    }


@ITEMS.experiment(
    "C6",
    "y(l+2) = F(W y(l+1) + y(l+2)), which maps l+2 to l+1.",
    "false",
    "That is circular, with the output on both sides, and the wrong way round:"
    " y(l+2) = relu(y(l) + F(y(l))).",
    f"{HE2015}, equation 1",
    Every(
        Equal("steps of ResNet-20 that have a part in their own input", 0),
        Equal("a Tensor can be written into", "no: TypeError"),
        Equal("backward after an output was written over its own input", "no: AutogradError"),
        Below("a block's output less relu(y + F(y))", ROUNDING),
    ),
)
def _c6(lab: Lab) -> Measured:
    steps = counted("cifar_resnet20").steps
    y, y_next = drawn(4), drawn(4, seed=1)

    def write_into() -> None:
        y_next[:] = ops.relu(y + y_next)

    def write_over() -> None:
        output = ops.relu(2 * y * y_next + y_next)
        y_next.data[...] = output.data
        ops.sum(output).backward()

    x = drawn(2, 4, 8, 8)
    block, branch = (_twin(shortcut) for shortcut in ("A", None))
    return {
        "steps of ResNet-20 that have a part in their own input": sum(
            source is not None and source >= number
            for number, step in enumerate(steps)
            for source in step.sources
        ),
        "a Tensor can be written into": _answer(write_into),
        "backward after an output was written over its own input": _answer(write_over),
        "a block's output less relu(y + F(y))": norm(block(x) - ops.relu(x + branch(x))),
    }


def _twin(shortcut: str | None) -> nn.Module:
    """Make a block without an activation in the branch's end, or its branch."""
    with random.seeded(0):
        order = "linear" if shortcut is None else "original"
        return nn.BasicBlock(4, 4, shortcut=shortcut, order=order).to(float64)


def _answer(attempt: Any) -> str:
    """Return "yes" if something can be done, else the kind of error that refuses it."""
    try:
        attempt()
    except (AutogradError, TypeError, ValueError) as error:
        return f"no: {type(error).__name__}"
    return "yes"


@ITEMS.experiment(
    "C7",
    "Mean squared error is common, and each residual unit has a loss of its own.",
    "false",
    "There is one cross-entropy, at the output. A network that learns by the squared error of its"
    " logits ends with more mistakes. Where the network is surely wrong, the gradient of"
    " cross-entropy stays large, and that of the squared error of probabilities vanishes.",
    f"{HE2015}, section 3.4; Bishop 2006, Pattern Recognition and Machine Learning, section 4.3",
    Every(
        Equal("losses on the graph of a training step", ["cross_entropy"]),
        Equal("steps of ResNet-20 that nothing reads, but for the loss", 0),
        Above("gradient of cross-entropy where the wrong class is sure", 1),
        Below("gradient of the squared error there", 0.01),
        Above(_SLOWER),
    ),
)
def _c7(lab: Lab) -> Measured:
    forward = recorded(cifar_resnet(20, width=4, seed=0), 4, 3, 16, 16).records.forward
    read = {operand.value for step in forward for operand in step.operands}
    wrong = ops.tensor([[10.0, 0.0, 0.0]], dtype=float64, requires_grad=True)
    right = ops.tensor([[0.0, 1.0, 0.0]], dtype=float64)
    entropy = ops.cross_entropy(wrong, ops.tensor([1]))
    squared = ops.mse_loss(ops.softmax(wrong, 1), right)

    def of_outputs(logits: Tensor, labels: Tensor) -> Tensor:
        return 10 * ops.mse_loss(logits, ops.eye(10)[labels])  # summed over classes

    slower = []
    for seed in SEEDS:
        error = {}
        for name, loss in {"squared": of_outputs, "entropy": ops.cross_entropy}.items():
            with random.seeded(seed):
                model = perceptron()
            error[name] = taught(model, Recipe(10), seed, loss).train_error[-1]
        slower.append(round(error["squared"] - error["entropy"], 4))
    return {
        "losses on the graph of a training step": [
            step.op for step in forward if "entropy" in step.op or "loss" in step.op
        ],
        "steps of ResNet-20 that nothing reads, but for the loss": len(
            [step for step in forward if step.output not in read]
        )
        - 1,
        "gradient of cross-entropy where the wrong class is sure": norm(gradient(entropy, wrong)),
        "gradient of the squared error there": norm(gradient(squared, wrong)),
        _SLOWER: slower,
    }


@ITEMS.experiment(
    "C8",
    "Code: ResidualBlock(3, 64) with an identity shortcut.",
    "false",
    "3 channels cannot be added to 64: it needs a projection, or option A. Nor may one channel be"
    " added to 64, although NumPy would broadcast it.",
    f"{HE2015}, equation 2",
    Every(
        Equal("3 channels are added to 64", "no: ValueError"),
        Equal("1 channel is added to 64", "no: ValueError"),
        Equal("channels of what NumPy makes of 1 and 64", 64),
        Equal("channels behind a block with a projection, and with option A", [64, 64]),
    ),
)
def _c8(lab: Lab) -> Measured:
    block = nn.BasicBlock(3, 64, shortcut=lambda *shape: nn.Identity())
    one, many = ops.zeros(2, 1, 8, 8), ops.zeros(2, 64, 8, 8)
    return {
        "3 channels are added to 64": _answer(lambda: block(ops.zeros(2, 3, 8, 8))),
        "1 channel is added to 64": _answer(lambda: ops.residual_add(one, many)),
        "channels of what NumPy makes of 1 and 64": (one.numpy() + many.numpy()).shape[1],
        "channels behind a block with a projection, and with option A": [
            counted(nn.BasicBlock(3, 64, shortcut=each), (3, 8, 8)).steps[-1].output[1]
            for each in ("B", "A")
        ],
    }


@ITEMS.experiment(
    "C9",
    "Code: convolutions with a bias before batch normalisation; no downsampling, no head.",
    "misleading",
    "The bias is redundant, taken away with the mean: its gradient is exactly 0, but for rounding."
    " (That downsampling and head are missing, anyone can see.)",
    "Ioffe and Szegedy 2015, arXiv 1502.03167, section 3.2",
    Every(
        Below("gradient of a bias before BN, over that of the weights", 1e-12),
        Above("the same without BN", 1e-3),
    ),
)
def _c9(lab: Lab) -> Measured:
    x, g = drawn(4, 3, 8, 8), drawn(4, 5, 8, 8, seed=1).detach()
    with random.seeded(0):
        convolution = nn.Conv2d(3, 5, 3, padding=1).to(float64)
    found = []
    for behind in (nn.BatchNorm2d(5).to(float64), nn.Identity()):
        y = ops.relu(behind(convolution(x)))
        bias = gradient(y, convolution.bias, g)
        found.append(norm(bias) / norm(gradient(y, convolution.weight, g)))
    return {
        "gradient of a bias before BN, over that of the weights": found[0],
        "the same without BN": found[1],
    }


@ITEMS.experiment(
    "C10",
    "Applications: detection and segmentation.",
    "true",
    "ResNet-101 in place of VGG-16 took Faster R-CNN from 73.2 to 76.4 on VOC 2007, and from 21.2"
    " to 27.2 on COCO. Here a small residual network learns to find digits on a canvas.",
    f"{HE2015}, tables 7 and 8",
    Every(
        Below("average precision of a ResNet-8 that has not learned to detect", 0.05),
        Above("average precision of one that has", 0.3),
    ),
)
def _c10(lab: Lab) -> Measured:
    found = [detected(seed) for seed in SEEDS]
    return {
        "average precision of a ResNet-8 that has not learned to detect": [
            round(before, 4) for before, _ in found
        ],
        "average precision of one that has": [round(after, 4) for _, after in found],
    }


ITEMS.citation(
    "C11",
    "ResNet broke the ImageNet record many times.",
    "misleading",
    "It won ILSVRC 2015, once, with an ensemble of a top-5 error of 3.57 %.",
    f"{HE2015}, table 5",
)


@ITEMS.experiment(
    "C12",
    "Inception uses convolutions at several scales.",
    "true",
    "1x1, 3x3 and 5x5 convolutions and a pool side by side, whose channels are joined.",
    "Szegedy et al. 2014, arXiv 1409.4842, figure 2",
    Every(
        Equal("modules of GoogLeNet", 9),
        Equal("largest kernel of each module's four ways", [[1, 3, 5, 1]] * 9),
        Equal("ways of each module with a pool", [1] * 9),
    ),
)
def _c12(lab: Lab) -> Measured:
    steps = counted("googlenet_2014").steps
    modules = [ways(steps, number) for number in numbers(steps, "concatenate")]
    return {
        "modules of GoogLeNet": len(modules),
        "largest kernel of each module's four ways": [
            [max(kernels(steps, way)) for way in module] for module in modules
        ],
        "ways of each module with a pool": [
            sum(any(steps[each].op == "max_pool2d" for each in way) for way in module)
            for module in modules
        ],
    }
