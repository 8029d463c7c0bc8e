"""A, of learning: what passes through blocks and layers, forward and backward."""

from __future__ import annotations

from minires import nn, ops
from minires.autograd import Tensor, no_grad
from minires.devices import float64, random
from minires.lab.experiments import batch_norm, degradation, gradient_norms
from minires.lab.experiments.degradation import GAP
from minires.lab.experiments.gradient_norms import SETTLED
from minires.lab.learning import Recipe
from minires.lab.rules import Above, Below, Equal, Every, Measured, Within
from minires.models import cifar_resnet

from .gradients import (
    ROUNDING,
    SEEDS,
    drawn,
    gradient,
    largest,
    norm,
    plain_56_gradients,
    recorded,
)
from .graphs import counted
from .item import Items, Lab
from .papers import HE2015, HE2016, IOFFE
from .trainings import perceptron, taught

ITEMS = Items()


def _block(order: str, shortcut: str | None = "A") -> nn.Module:
    """Make a block of 4 channels, or with no shortcut its branch: the same numbers in both."""
    with random.seeded(0):
        return nn.BasicBlock(4, 4, shortcut=shortcut, order=order).to(float64)


@ITEMS.experiment(
    "A2",
    "Identity mapping is a new method of training that solves vanishing and exploding gradients.",
    "false",
    "It is a shortcut in the architecture, trained as ever, by SGD with batch normalisation. Deep"
    " plain networks train worse, and He et al. argue that vanishing gradients are unlikely to be"
    " the cause: at initialisation they grow backwards, and settle within a few steps.",
    f"{HE2015}, section 4.1; Yang et al. 2019, arXiv 1902.08129",
    Every(
        Equal("parameters of ResNet-56 less those of plain-56", 0),
        Above("first layer's gradient over the last's, plain-56 at initialisation", 1),
        Below(SETTLED, 0.1, 1),
        gradient_norms.NOT_VANISHING,
        degradation.DEEPER_IS_WORSE,
        Above(GAP),
    ),
)
def _a2(lab: Lab) -> Measured:
    trained, norms = lab.measured("degradation"), lab.measured("gradient-norms")
    residual, plain = (counted(f"cifar_{kind}56").params for kind in ("resnet", "plain"))
    return {
        "parameters of ResNet-56 less those of plain-56": residual - plain,
        "first layer's gradient over the last's, plain-56 at initialisation": plain_56_gradients(),
        **{name: norms[name] for name in (SETTLED, *gradient_norms.NOT_VANISHING.quantities)},
        **{name: trained[name] for name in (*degradation.DEEPER_IS_WORSE.quantities, GAP)},
    }


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
    passed_on = gradient(ops.sum(option_a(x)), x)
    return {
        "change of x by a pre-activation block whose branch is 0": largest(
            made["full_preactivation"] - x
        ),
        "change of x by a post-activation block whose branch is 0": largest(made["original"] - x),
        "the latter's output less relu(x)": largest(made["original"] - ops.relu(x)),
        "positions of four that option A with stride 2 passes on": 4 * ops.mean(passed_on).item(),
    }


@ITEMS.experiment(
    "A7",
    "The purpose of batch normalisation is to reduce overfitting.",
    "misleading",
    "Its purpose is easier optimisation: already the training error differs, and still does where"
    " noise behind it undoes what it has normalised. That it regularises is a side effect.",
    f"{IOFFE}, section 1; Santurkar et al. 2018, arXiv 1805.11604",
    Every(Above(batch_norm.HELPS), batch_norm.NOISE_IS_NO_HARM),
)
def _a7(lab: Lab) -> Measured:
    found = lab.measured("batch-norm")
    return {name: found[name] for name in (batch_norm.HELPS, batch_norm.NOISY)}


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
        gradient(_block("full_preactivation", shortcut)(x), x, g) for shortcut in ("A", None)
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
            ratios.append(norm(gradient(chain(x), x, g)) / norm(g))
    return {
        "gradient of a block's input less (that of its output, and that by F)": largest(
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
            return max(largest(mean), largest(variance - 1))

        changed = {}
        for mode in ("training", "evaluation"):
            layer.train(mode == "training")
            other = ops.cat([10 * x[:1], x[1:]], 0)
            changed[mode] = largest(layer(other)[1:] - layer(x)[1:])
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
        return bare.detach(), y.detach(), norm(gradient(y, convolution.weight, g))

    bare, y, before = run()
    convolution.weight.copy_(10 * convolution.weight.detach())
    bare_10, y_10, after = run()
    return {
        "change of the output as weights before BN are multiplied by 10": largest(y_10 - y),
        "factor of these weights' gradient": after / before,
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
        return largest(gradient(ops.sum(nn.Sequential(*[activation] * layers)(at)), at))

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
            sizes.append(norm(gradient(ops.mean(output), layers[0].weight)))
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
    "Dilation enlarges the receptive field at the same resolution. It is raised by interpolation,"
    " or by transposed convolution, the adjoint of the ordinary one.",
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
        seen = gradient(ops.sum(y[:, :, 4, 4]), x)
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
        "H(x) - x less what the branch alone makes of x": largest(whole - x - branch),
        "size of F(x)": largest(branch),
    }


@ITEMS.experiment(
    "A20",
    "Too small a learning rate underfits, too large a one diverges; regularisation is a penalty on"
    " norms.",
    "true",
    "Roughly: augmentation, dropout and early stopping regularise as well (not tried here).",
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
