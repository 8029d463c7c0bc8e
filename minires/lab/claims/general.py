"""A: what a general introduction to residual networks says."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from minires import nn, ops
from minires.autograd import Tensor, grad, no_grad
from minires.data import digits
from minires.devices import float64, random
from minires.lab.experiments.degradation import GAP, PLAIN_RISE
from minires.lab.learning import Recipe
from minires.lab.rules import Above, Below, Equal, Every, Measured, Within
from minires.models import CifarResNet, cifar_plain, cifar_resnet

from .gradients import SEEDS, drawn, first_over_last, norm, recorded
from .graphs import counted, kernels, numbers, ways
from .item import Items, Lab
from .trainings import disturb, last_loss, perceptron, taught

ITEMS = Items()
HE2015 = "He et al. 2015, arXiv 1512.03385"
HE2016 = "He et al. 2016, arXiv 1603.05027"
IOFFE = "Ioffe and Szegedy 2015, arXiv 1502.03167"
ROUNDING = 1e-9  # of float64, many times over


def _largest(value: Tensor) -> float:
    return float(ops.amax(ops.abs(value.detach())).item())


def _block(order: str, shortcut: str | None = "A") -> nn.Module:
    """Make a block of 4 channels, or with no shortcut its branch: the same numbers in both."""
    with random.seeded(0):
        return nn.BasicBlock(4, 4, shortcut=shortcut, order=order).to(float64)


@ITEMS.experiment(
    "A1",
    "ResNet clearly beats VGG and AlexNet in the number of parameters and in performance.",
    "true",
    "ResNet-18 and -50 have 11.7M and 25.6M parameters, AlexNet 61.1M and VGG-16 138.4M; but"
    " ResNet-50 costs 4.1 billion multiply-accumulates an image, AlexNet 0.71.",
    f"{HE2015}, table 1; Krizhevsky et al. 2012; Simonyan and Zisserman 2014, arXiv 1409.1556",
    Every(
        Equal("parameters of ResNet-18", 11_689_512),
        Equal("parameters of ResNet-50", 25_557_032),
        Equal("parameters of AlexNet", 61_100_840),
        Equal("parameters of VGG-16", 138_357_544),
        Within("billion multiply-accumulates of ResNet-50", 4.0, 4.2),
        Within("billion multiply-accumulates of AlexNet", 0.70, 0.72),
    ),
)
def _a1(lab: Lab) -> Measured:
    names = {"ResNet-18": "resnet18", "ResNet-50": "resnet50", "AlexNet": "alexnet"}
    counts = {said: counted(name) for said, name in (names | {"VGG-16": "vgg16"}).items()}
    return {
        **{f"parameters of {said}": each.params for said, each in counts.items()},
        **{
            f"billion multiply-accumulates of {said}": round(each.macs / 1e9, 3)
            for said, each in counts.items()
        },
    }


@ITEMS.experiment(
    "A2",
    "Identity mapping is a new method of training that solves vanishing and exploding gradients.",
    "false",
    "It is a shortcut in the architecture, trained as ever, by SGD with batch normalisation. Deep"
    " plain networks train worse although their gradients do not vanish: at initialisation they"
    " grow backwards, and settle within a few steps.",
    f"{HE2015}, section 4.1; Yang et al. 2019, arXiv 1902.08129",
    Every(
        Equal("parameters of ResNet-56 less those of plain-56", 0),
        Above("first layer's gradient over the last's, plain-56 at initialisation", 1),
        Above(PLAIN_RISE),
        Above(GAP),
    ),
)
def _a2(lab: Lab) -> Measured:
    trained = lab.measured("degradation")
    residual, plain = (counted(f"cifar_{kind}56").params for kind in ("resnet", "plain"))
    return {
        "parameters of ResNet-56 less those of plain-56": residual - plain,
        "first layer's gradient over the last's, plain-56 at initialisation": plain_56_gradients(),
        PLAIN_RISE: trained[PLAIN_RISE],
        GAP: trained[GAP],
    }


def plain_56_gradients() -> list[float]:
    """Return the first layer's gradient over the last's in plain networks, for each seed."""
    return [
        round(first_over_last(cifar_plain(56, width=8, in_channels=1, seed=seed)), 2)
        for seed in SEEDS
    ]


@ITEMS.experiment(
    "A3",
    "The skip connection loses no information.",
    "misleading",
    "Only where the branch is 0 and nothing follows the addition. A ReLU after it clips what is"
    " negative, and option A with stride 2 drops three positions in four.",
    f"{HE2015}, section 3; {HE2016}, section 2",
    Every(
        Below("change of x by a pre-activation block whose branch is 0", ROUNDING),
        Above("change of x by a post-activation block whose branch is 0", 0.1),
        Below("the latter's output less relu(x)", ROUNDING),
        Equal("positions of four that option A with stride 2 passes on", 1),
    ),
)
def _a3(lab: Lab) -> Measured:
    x = drawn(2, 4, 8, 8)
    made = {}
    for order in ("full_preactivation", "original"):
        block = _block(order)
        for weight in block.parameters():
            weight.copy_(ops.zeros_like(weight))
        made[order] = block(x)
    option_a = nn.PadShortcut(4, 8, stride=2).to(float64)
    (passed_on,) = grad(ops.sum(option_a(x)), [x])
    return {
        "change of x by a pre-activation block whose branch is 0": _largest(
            made["full_preactivation"] - x
        ),
        "change of x by a post-activation block whose branch is 0": _largest(made["original"] - x),
        "the latter's output less relu(x)": _largest(made["original"] - ops.relu(x)),
        "positions of four that option A with stride 2 passes on": 4 * ops.mean(passed_on).item(),
    }


@ITEMS.experiment(
    "A4",
    "The short circuit improves the reuse of features.",
    "misleading",
    "Reuse by concatenation is DenseNet's reason; ResNet sums, and keeps as many channels.",
    f"Huang et al. 2016, arXiv 1608.06993, section 3; {HE2015}",
    Every(
        Equal("channels behind each block of a residual stage", [16] * 9),
        Equal("channels that each layer of a dense block adds", [12] * 12),
    ),
)
def _a4(lab: Lab) -> Measured:
    residual = counted("cifar_resnet56").steps
    dense = counted("densenet_40_12").steps
    sums = [residual[number] for number in numbers(residual, "residual_add")]
    joined = [dense[number].output[1] for number in numbers(dense, "concatenate")[:12]]
    return {
        "channels behind each block of a residual stage": [
            step.output[1] for step in sums if step.path.startswith("layer1")
        ],
        "channels that each layer of a dense block adds": [
            after - before for before, after in pairwise([16, *joined])
        ],
    }


@ITEMS.experiment(
    "A5",
    "A residual block's input and output have the same size and are merged along the channels.",
    "false",
    "They are added element by element, which joins no channels. Sizes differ where a stage begins.",
    f"{HE2015}, section 3.2 and figure 3",
    Every(
        Equal("additions in ResNet-20", 9),
        Equal("concatenations in ResNet-20", 0),
        Equal("additions whose output has another size than either side", 0),
        Equal("blocks whose output has another size than their input", ["layer2.0", "layer3.0"]),
        Equal("weights of the next convolution, had the channels been joined, over those it has", 2),
    ),
)
def _a5(lab: Lab) -> Measured:
    steps = counted("cifar_resnet20").steps
    additions = [steps[number] for number in numbers(steps, "residual_add")]
    sizes = [(1, 16, 32, 32), *(step.output for step in additions)]
    summed, joined = (counted(nn.Conv2d(each, 16, 3, bias=False), (each, 8, 8)) for each in (16, 32))
    return {
        "additions in ResNet-20": len(additions),
        "concatenations in ResNet-20": len(numbers(steps, "concatenate")),
        "additions whose output has another size than either side": sum(
            set(step.shapes) != {step.output} for step in additions
        ),
        "blocks whose output has another size than their input": [
            step.path
            for step, (size, output) in zip(additions, pairwise(sizes), strict=True)
            if size != output
        ],
        "weights of the next convolution, had the channels been joined, over those it has": (
            joined.params / summed.params
        ),
    }


@ITEMS.experiment(
    "A6",
    "Skip layers only concatenate channels, connect two different stages and do not change size.",
    "false",
    "Skips span two or three convolutions within a stage, and are added. Where a stage begins they"
    " halve the image and double the channels.",
    f"{HE2015}, section 3.3 and figures 3 and 5",
    Every(
        Equal("convolutions that each skip of ResNet-20 spans", [2] * 9),
        Equal("convolutions that each skip of ResNet-50 spans", [3] * 16),
        Equal(
            "skips of ResNet-20 that change the size",
            ["(16, 32, 32) to (32, 16, 16)", "(32, 16, 16) to (64, 8, 8)"],
        ),
    ),
)
def _a6(lab: Lab) -> Measured:
    small, large = (counted(name).steps for name in ("cifar_resnet20", "resnet50"))
    changing = []
    for number in numbers(small, "residual_add"):
        shortcut, branch = ways(small, number)
        reads = small[branch[0]].shapes[0]
        if shortcut:
            changing.append(f"{reads[1:]} to {small[shortcut[-1]].output[1:]}")
    return {
        f"convolutions that each skip of {name} spans": [
            len(kernels(steps, ways(steps, number)[1])) for number in numbers(steps, "residual_add")
        ]
        for name, steps in {"ResNet-20": small, "ResNet-50": large}.items()
    } | {"skips of ResNet-20 that change the size": changing}


@ITEMS.experiment(
    "A7",
    "The purpose of batch normalisation is to reduce overfitting.",
    "misleading",
    "Its purpose is easier optimisation: already the training loss differs, and still does where"
    " noise behind it undoes what it has normalised. That it regularises is a side effect.",
    f"{IOFFE}, section 1; Santurkar et al. 2018, arXiv 1805.11604",
    Every(
        Above("training loss of plain-20 without BN less that with it"),
        Above("training loss of plain-20 without BN less that with BN and noise behind it"),
    ),
)
def _a7(lab: Lab) -> Measured:
    found: dict[str, list[float]] = {"it": [], "BN and noise behind it": []}
    for seed in SEEDS:
        loss = {}
        for kind in ("", *found):
            with random.seeded(seed):
                norm_layers = "batch" if kind else "none"
                model = cifar_plain(20, width=4, in_channels=1, norm=norm_layers)
                if kind == "BN and noise behind it":
                    disturb(model)
                loss[kind] = last_loss(model, 6, seed)
        for kind, differences in found.items():
            differences.append(round(loss[""] - loss[kind], 4))
    return {
        f"training loss of plain-20 without BN less that with {kind}": differences
        for kind, differences in found.items()
    }


class _OneLayer(nn.ResidualBlock):
    """A residual unit of one 3x3 convolution."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, **options: Any) -> None:
        super().__init__([nn.blocks.conv(in_channels, channels, 3, stride)], **options)


@ITEMS.experiment(
    "A8",
    "A residual unit is one convolution and one batch normalisation; the first makes learning"
    " easier, the second controls exploding gradients.",
    "false",
    "It is two convolutions (basic) or three (bottleneck), each with batch normalisation, with ReLU"
    " between them, and a shortcut. Units of one layer are worse: ResNet-110 has an error of 9.90 %"
    " with them, of 6.61 % with two.",
    f"{HE2015}, section 3.2 and figure 5; {HE2016}, table 3",
    Every(
        Equal("convolutions, norms and activations in a basic branch", [2, 2, 1]),
        Equal("convolutions, norms and activations in a bottleneck's branch", [3, 3, 2]),
        Above("training loss of 54 layers in units of one less that in units of two"),
    ),
)
def _a8(lab: Lab) -> Measured:
    def in_branch(name: str) -> list[int]:
        steps = counted(name).steps
        branch = ways(steps, numbers(steps, "residual_add")[1])[1]
        ran = [steps[number].op for number in branch]
        return [ran.count(op) for op in ("conv2d", "batch_norm", "relu")]

    differences = []
    for seed in SEEDS:
        loss = []
        for block, count in ((_OneLayer, 18), (nn.BasicBlock, 9)):
            with random.seeded(seed):
                model = CifarResNet(56, count, block, "A", width=4, in_channels=1)
            loss.append(last_loss(model, 3, seed))
        differences.append(round(loss[0] - loss[1], 4))
    return {
        "convolutions, norms and activations in a basic branch": in_branch("cifar_resnet20"),
        "convolutions, norms and activations in a bottleneck's branch": in_branch("resnet50"),
        "training loss of 54 layers in units of one less that in units of two": differences,
    }


@ITEMS.experiment(
    "A9",
    "Residual connections alleviate vanishing gradients.",
    "true",
    "dL/dx = dL/dy (1 + F'(x)): the first term reaches x whatever the branch does.",
    f"{HE2016}, equation 5",
    Every(
        Below("gradient of a block's input less (that of its output, and that by F)", ROUNDING),
        Equal("forks of ResNet-20 whose parts do not add up to the gradient, bit for bit", 0),
        Below("gradient before 27 plain blocks with halved weights, over that behind", 1e-6),
        Above("gradient before 27 residual blocks with halved weights, over that behind", 0.01),
    ),
)
def _a9(lab: Lab) -> Measured:
    x, g = drawn(2, 4, 8, 8), drawn(2, 4, 8, 8, seed=1).detach()
    whole, through_f = (
        grad(_block("full_preactivation", shortcut)(x), [x], [g])[0] for shortcut in ("A", None)
    )
    trace = recorded(cifar_resnet(20, width=4, seed=0), 4, 3, 16, 16)
    found: dict[str, list[float]] = {"plain": [], "residual": []}
    for ratios, shortcut in zip(found.values(), (None, "A"), strict=True):
        for seed in SEEDS:
            with random.seeded(seed):
                blocks = [nn.BasicBlock(4, 4, shortcut=shortcut, norm="none") for _ in range(27)]
            chain = nn.Sequential(*blocks).to(float64)
            for weight in chain.parameters():
                weight.copy_(0.5 * weight.detach())
            ratios.append(norm(grad(chain(x), [x], [g])[0]) / norm(g))
    return {
        "gradient of a block's input less (that of its output, and that by F)": _largest(
            whole - (g + through_f)
        ),
        "forks of ResNet-20 whose parts do not add up to the gradient, bit for bit": sum(
            fork.verdict != "exact" for fork in trace.forks()
        ),
        **{
            f"gradient before 27 {name} blocks with halved weights, over that behind": ratios
            for name, ratios in found.items()
        },
    }


@ITEMS.experiment(
    "A10",
    "Residual networks are a special case of ResNet; convolutions that are stacked without skips"
    " may be called residual as well.",
    "false",
    "The two names mean the same; without skips the network is plain.",
    f"{HE2015}, section 3.3",
    Every(
        Equal("blocks to whose output their input is added, ResNet-20", 9),
        Equal("blocks to whose output their input is added, ResNet-18", 8),
        Equal("blocks to whose output their input is added, plain-20", 0),
        Equal("layers of ResNet-20 less those of plain-20", 0),
    ),
)
def _a10(lab: Lab) -> Measured:
    names = {"ResNet-20": "cifar_resnet20", "ResNet-18": "resnet18", "plain-20": "cifar_plain20"}
    counts = {said: counted(name) for said, name in names.items()}
    return {
        **{
            f"blocks to whose output their input is added, {said}": len(
                numbers(each.steps, "residual_add")
            )
            for said, each in counts.items()
        },
        "layers of ResNet-20 less those of plain-20": (
            counts["ResNet-20"].depth - counts["plain-20"].depth
        ),
    }


@ITEMS.experiment(
    "A11",
    "Batch normalisation normalises each sample to zero mean and unit variance.",
    "false",
    "It normalises each channel over the images and positions of the batch, then scales and shifts."
    " Per sample is layer or instance normalisation. In evaluation it takes running statistics.",
    f"{IOFFE}, section 3",
    Every(
        Below("largest mean of a channel, or difference of its variance from 1", 1e-3),
        Above("largest mean of a sample, or difference of its variance from 1", 0.1),
        Above("change of the other images' outputs as one changes, in training", 1e-3),
        Equal("change of the other images' outputs as one changes, in evaluation", 0.0),
    ),
)
def _a11(lab: Lab) -> Measured:
    layer = nn.BatchNorm2d(4).to(float64)
    # Images and channels of their own sizes.
    x = drawn(8, 4, 6, 6).detach() * drawn(8, 4, 1, 1, seed=1).detach()
    with no_grad():
        layer(x)
        y = layer(x)

        def off(axes: tuple[int, ...]) -> float:
            mean, variance = ops.mean(y, axes), ops.var(y, axes, correction=0)
            return max(_largest(mean), _largest(variance - 1))

        changed = {}
        for mode in ("training", "evaluation"):
            layer.train(mode == "training")
            other = ops.cat([10 * x[:1], x[1:]], 0)
            changed[mode] = _largest(layer(other)[1:] - layer(x)[1:])
    return {
        "largest mean of a channel, or difference of its variance from 1": off((0, 2, 3)),
        "largest mean of a sample, or difference of its variance from 1": off((1, 2, 3)),
        **{
            f"change of the other images' outputs as one changes, in {mode}": each
            for mode, each in changed.items()
        },
    }


@ITEMS.experiment(
    "A12",
    "Weight decay penalises all weights and thereby weakens the sensitivity to the input.",
    "misleading",
    "Fair without batch normalisation. Weights of a convolution before it have no scale: decay"
    " changes the effective learning rate, not the function.",
    f"{IOFFE}, section 3.3; van Laarhoven 2017, arXiv 1706.05350",
    Every(
        Below("change of the output as weights before BN are multiplied by 10", 1e-3),
        Within("factor of these weights' gradient", 0.0999, 0.1001),
        Within("factor of the output without BN", 9.999, 10.001),
    ),
)
def _a12(lab: Lab) -> Measured:
    x, g = drawn(4, 3, 8, 8), drawn(4, 5, 8, 8, seed=1).detach()
    with random.seeded(0):
        convolution = nn.Conv2d(3, 5, 3, padding=1, bias=False).to(float64)
    norm_layer = nn.BatchNorm2d(5).to(float64)

    def run() -> tuple[Tensor, Tensor, float]:
        bare = convolution(x)
        y = norm_layer(bare)
        return bare.detach(), y.detach(), norm(grad(y, [convolution.weight], [g])[0])

    bare, y, gradient = run()
    convolution.weight.copy_(10 * convolution.weight.detach())
    bare_10, y_10, gradient_10 = run()
    return {
        "change of the output as weights before BN are multiplied by 10": _largest(y_10 - y),
        "factor of these weights' gradient": gradient_10 / gradient,
        "factor of the output without BN": norm(bare_10) / norm(bare),
    }


@ITEMS.experiment(
    "A13",
    "The sigmoid is commonly used for classification.",
    "misleading",
    "As output, for two classes or several labels; of many classes one is chosen by softmax. As"
    " hidden unit it saturates: its derivative is at most 0.25, that of L of them at most 0.25^L.",
    "Glorot and Bengio 2010; Krizhevsky et al. 2012, section 3.1",
    Every(
        Within("largest derivative of the sigmoid", 0.2499, 0.25),
        Below("largest derivative of 20 sigmoids, over 0.25^20", 1 + ROUNDING),
        Equal("derivative of 20 ReLUs at 1", 1.0),
        Below("first layer's gradient of 20 sigmoid layers, over that of ReLUs", 1e-4),
        Within("sum of ten softmax outputs", 1 - ROUNDING, 1 + ROUNDING),
        Above("sum of the ten sigmoids of the same, off 1", 0.1),
    ),
)
def _a13(lab: Lab) -> Measured:
    x = (ops.arange(-600, 601, dtype=float64) / 100).requires_grad_()

    def slope(activation: nn.Module, layers: int, at: Tensor) -> float:
        return _largest(grad(ops.sum(nn.Sequential(*[activation] * layers)(at)), [at])[0])

    sigmoid, relu = nn.Sigmoid(), nn.ReLU()
    ratios = []
    for seed in SEEDS:
        sizes = []
        for activation in (sigmoid, relu):
            with random.seeded(seed):
                layers = [part for _ in range(20) for part in (nn.Linear(64, 64), activation)]
            for layer in layers[::2]:
                with random.seeded(seed):
                    nn.init.kaiming_normal_(layer.weight)
            model = nn.Sequential(*layers).to(float64)
            output = model(drawn(16, 64, seed=seed).detach())
            sizes.append(norm(grad(ops.mean(output), [layers[0].weight])[0]))
        ratios.append(sizes[0] / sizes[1])
    logits = drawn(10)
    return {
        "largest derivative of the sigmoid": slope(sigmoid, 1, x),
        "largest derivative of 20 sigmoids, over 0.25^20": slope(sigmoid, 20, x) / 0.25**20,
        "derivative of 20 ReLUs at 1": slope(relu, 20, ops.ones(1, requires_grad=True)),
        "first layer's gradient of 20 sigmoid layers, over that of ReLUs": ratios,
        "sum of ten softmax outputs": ops.sum(ops.softmax(logits, 0)).item(),
        "sum of the ten sigmoids of the same, off 1": ops.sum(ops.sigmoid(logits)).item() - 1,
    }


@ITEMS.experiment(
    "A14",
    "Where output and input have the same size, dilated convolution raises the resolution.",
    "false",
    "Dilation enlarges the receptive field at the same resolution. It is raised by interpolation, or"
    " by transposed convolution, the adjoint of the ordinary one.",
    "Yu and Koltun 2015, arXiv 1511.07122; Dumoulin and Visin 2016, arXiv 1603.07285",
    Every(
        Equal("size of a 9 x 9 image behind a 3x3 convolution with dilation 2", [9, 9]),
        Equal("side of its receptive field, with dilations 1 and 2", [3, 5]),
        Equal("size behind a transposed 4x4 convolution with stride 2", [18, 18]),
        Below("<conv x, y> less <x, transposed conv y>", ROUNDING),
    ),
)
def _a14(lab: Lab) -> Measured:
    x, weight = drawn(1, 2, 9, 9), drawn(3, 2, 3, 3, seed=1)
    fields = []
    for dilation in (1, 2):
        y = ops.conv2d(x, weight, padding=dilation, dilation=dilation)
        (seen,) = grad(ops.sum(y[:, :, 4, 4]), [x])
        rows = ops.sum(ops.abs(seen), (0, 1, 3)).numpy().nonzero()[0]
        fields.append(int(rows[-1] - rows[0]) + 1)
    doubled = ops.conv_transpose2d(x, drawn(2, 3, 4, 4), stride=2, padding=1)
    # The same weights: (out, in) of the one are (in, out) of the other.
    z = drawn(1, 3, 5, 5, seed=2)
    here = ops.sum(ops.conv2d(x, weight, stride=2, padding=1) * z).item()
    there = ops.sum(x * ops.conv_transpose2d(z, weight, stride=2, padding=1)).item()
    return {
        "size of a 9 x 9 image behind a 3x3 convolution with dilation 2": list(y.shape[2:]),
        "side of its receptive field, with dilations 1 and 2": fields,
        "size behind a transposed 4x4 convolution with stride 2": list(doubled.shape[2:]),
        "<conv x, y> less <x, transposed conv y>": abs(here - there),
    }


@ITEMS.experiment(
    "A15",
    "Downsampling is done by shrinking the kernel.",
    "false",
    "By stride or pooling; a smaller kernel, padded by its half, keeps the size.",
    f"{HE2015}, section 3.3",
    Every(
        Equal("side of a 16 x 16 image behind kernels 5, 3, 1", [16, 16, 16]),
        Equal("side behind a 3x3 convolution with stride 2, and behind a 2x2 pool", [8, 8]),
    ),
)
def _a15(lab: Lab) -> Measured:
    def side(layer: nn.Module) -> int:
        return counted(layer, (1, 16, 16)).steps[-1].output[-1]

    same = [side(nn.Conv2d(1, 1, each, padding=each // 2)) for each in (5, 3, 1)]
    halved = [side(nn.Conv2d(1, 1, 3, stride=2, padding=1)), side(nn.MaxPool2d(2, 2))]
    return {
        "side of a 16 x 16 image behind kernels 5, 3, 1": same,
        "side behind a 3x3 convolution with stride 2, and behind a 2x2 pool": halved,
    }


@ITEMS.experiment(
    "A16",
    "The residual function adds the previous layer's output to the current layer.",
    "false",
    "The residual function F(x) = H(x) - x is what the branch learns; the shortcut adds.",
    f"{HE2015}, section 3.1",
    Every(
        Below("H(x) - x less what the branch alone makes of x", ROUNDING),
        Above("size of F(x)", 0.1),
    ),
)
def _a16(lab: Lab) -> Measured:
    x = drawn(2, 4, 8, 8)
    whole, branch = (_block("full_preactivation", shortcut)(x) for shortcut in ("A", None))
    return {
        "H(x) - x less what the branch alone makes of x": _largest(whole - x - branch),
        "size of F(x)": _largest(branch),
    }


@ITEMS.experiment(
    "A17",
    "A bottleneck layer is a wider layer.",
    "false",
    "Its middle is narrow: 256-64-64-256 has 69,632 weights. Two 3x3 convolutions have 73,728 of 64"
    " channels, and 1,179,648 of 256.",
    f"{HE2015}, section 4.1 and figure 5",
    Every(
        Equal("channels between the convolutions of a bottleneck", [256, 64, 64, 256]),
        Equal("weights of the bottleneck", 69_632),
        Equal("weights of two 3x3 convolutions of 64 channels", 73_728),
        Equal("weights of two 3x3 convolutions of 256 channels", 1_179_648),
    ),
)
def _a17(lab: Lab) -> Measured:
    bottleneck = counted(nn.Bottleneck(256, 64, norm="none"), (256, 8, 8))
    convolutions = [bottleneck.steps[number] for number in numbers(bottleneck.steps, "conv2d")]
    return {
        "channels between the convolutions of a bottleneck": [
            256,
            *(step.output[1] for step in convolutions),
        ],
        "weights of the bottleneck": bottleneck.params,
        **{
            f"weights of two 3x3 convolutions of {channels} channels": counted(
                nn.BasicBlock(channels, channels, norm="none"), (channels, 8, 8)
            ).params
            for channels in (64, 256)
        },
    }


@ITEMS.experiment(
    "A18",
    "Width is the depth times the number of kernels.",
    "false",
    "Width is the number of channels of a layer: k times as many in a Wide ResNet, whatever the"
    " depth.",
    "Zagoruyko and Komodakis 2016, arXiv 1605.07146, table 1",
    Every(
        Equal("channels of ResNet-20's stages", [16, 32, 64]),
        Equal("channels of ResNet-56's stages", [16, 32, 64]),
        Equal("channels of WRN-16-4's stages", [64, 128, 256]),
    ),
)
def _a18(lab: Lab) -> Measured:
    names = {"ResNet-20": "cifar_resnet20", "ResNet-56": "cifar_resnet56", "WRN-16-4": "wrn_16_4"}
    found = {}
    for said, name in names.items():
        steps = counted(name).steps
        sums = [steps[number].output[1] for number in numbers(steps, "residual_add")]
        found[f"channels of {said}'s stages"] = sorted(set(sums))
    return found


@ITEMS.experiment(
    "A19",
    "Depth is the number of residual modules.",
    "false",
    "Depth counts the layers with weights on the longest path: 6n + 2 of 3n blocks; ResNet-50 has 16"
    " blocks and 50 layers.",
    f"{HE2015}, section 4.2 and table 1",
    Every(
        Equal("blocks of ResNet-20, -56, -110 and -50", [9, 27, 54, 16]),
        Equal("layers on their longest path", [20, 56, 110, 50]),
    ),
)
def _a19(lab: Lab) -> Measured:
    names = ("cifar_resnet20", "cifar_resnet56", "cifar_resnet110", "resnet50")
    counts = [counted(name) for name in names]
    return {
        "blocks of ResNet-20, -56, -110 and -50": [
            len(numbers(each.steps, "residual_add")) for each in counts
        ],
        "layers on their longest path": [each.depth for each in counts],
    }


@ITEMS.experiment(
    "A20",
    "Too small a learning rate underfits, too large a one diverges; regularisation is a penalty on"
    " norms.",
    "true",
    "Roughly: augmentation, dropout and early stopping regularise as well.",
    "Goodfellow et al. 2016, Deep Learning, chapters 7 and 11.4",
    Every(
        Above("training error at a learning rate of 0.0001", 0.3),
        Below("training error at a learning rate of 0.1", 0.1),
        Above("training error at a learning rate of 100", 0.5),
        Below("norm of the weights with a penalty, over that without", 1),
    ),
)
def _a20(lab: Lab) -> Measured:
    def run(seed: int, rate: float, decay: float = 0.0) -> tuple[float, float]:
        with random.seeded(seed):
            model = perceptron()
        learned = taught(model, Recipe(10, learning_rate=rate, weight_decay=decay), seed)
        size = sum(norm(weight) ** 2 for weight in model.parameters())
        return round(learned.record()["final_train_error"], 4), size**0.5

    found = {rate: [run(seed, rate) for seed in SEEDS] for rate in (0.0001, 0.1, 100)}
    penalised = [run(seed, 0.1, decay=0.01)[1] for seed in SEEDS]
    return {
        **{
            f"training error at a learning rate of {rate:g}": [error for error, _ in seeds]
            for rate, seeds in found.items()
        },
        "norm of the weights with a penalty, over that without": [
            round(small / size, 3) for small, (_, size) in zip(penalised, found[0.1], strict=True)
        ],
    }
