"""What batch normalisation does, and what it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minires import nn, ops
from minires.autograd import EngineHook, Node, Op, Tensor, no_grad
from minires.lab.experiment import Claim, Experiment, ScaleName, Trials
from minires.lab.figures import label_epochs, name_curves, panels, spread
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED, Recipe, learn
from minires.lab.networks import NetworkScale, network_for
from minires.lab.rules import Above, Below, Every, Measured, Within
from minires.lab.seeds import paired
from minires.models import cifar_resnet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

IOFFE = "Ioffe and Szegedy 2015, arXiv 1502.03167"
SANTURKAR = "Santurkar et al. 2018, arXiv 1805.11604"
DE = "De and Smith 2020, arXiv 2002.10444"
OTHERS = "change of the other images' outputs when one image changes, in training mode"
ALONE = "the same in evaluation mode"
SCALED = "change of the output when a convolution's weights are multiplied by 10, relative"
GRADIENT = "its gradient's norm then, times 10, over that before"
BIAS = "gradient of a bias before batch norm over that of the weights beside it"
SKEW_BEFORE = "skewness of exponential values before batch norm"
SKEW_CHANGE = "change of the skewness by batch norm"
KURTOSIS_CHANGE = "change of the kurtosis by batch norm"
MOMENTS = "distance of mean and variance from 0 and 1, after batch norm"
HELPS = "training error without batch norm less that with it"
NOISY = "training error without batch norm less that with batch norm and noise behind it"
GROWTH = "growth of shortcut over branch variance from block to block, slope of a line"
MODES = "distance of training from evaluation mode, batches of 2 over batches of 64"
NOISE_IS_NO_HARM = Above(NOISY, 0.05, otherwise=0.0)
KINDS = ("without batch norm", "with batch norm", "with batch norm and noise")


class _BatchNorm(Experiment):
    """Facts of a single layer, in float64; and training with it, without, and with noise."""

    name = "batch-norm"
    title = "Batch norm couples images, keeps shapes, and helps even when noise follows it"
    about = (
        "Single layers in float64 show what is exact: whom a change of one image reaches, what"
        " scaling a weight does, which gradient is zero, what becomes of a distribution's shape."
        " Then a plain network is trained without batch norm, with it, and with noise behind every"
        " batch norm, whose mean and spread change with each step, as in Santurkar et al. 2018; its"
        " training error is that in training mode, over an epoch's batches. At initialisation the"
        " variance of branches and shortcuts is looked at in every block. (Batch norm behind the"
        " addition is an experiment on activation orders.)"
    )
    caption = (
        "Left: training error by epoch, thin for each seed, in the form of figure 2 of Santurkar et"
        " al. 2018. Middle: exponential values before and after batch norm; the shape stays, and is"
        " no normal distribution. Right: variance of shortcut over branch at initialisation, which"
        " grows with depth (De and Smith 2020, figure 1)."
    )
    claims = (
        Claim(
            "In training an image's output depends on the other images of its batch, in evaluation"
            " not.",
            f"{IOFFE}, section 3.1",
            "no number",
            Every(Above(OTHERS, 1e-6), Below(ALONE, 1e-12)),
        ),
        Claim(
            "The smaller the batch, the more the network of training differs from that of"
            " evaluation.",
            "Ioffe 2017, arXiv 1702.03275, section 1",
            "no number",
            Above(MODES, 2, otherwise=1),
        ),
        Claim(
            "Multiplying the weights before it by 10 changes no output, and divides the gradient"
            " by 10.",
            f"{IOFFE}, section 3.3",
            "BN((aW)u) = BN(Wu)",
            Every(Below(SCALED, 1e-6), Within(GRADIENT, 0.9999, 1.0001)),
        ),
        Claim(
            "A bias before batch norm is redundant: its gradient is 0.",
            f"{IOFFE}, section 3.2",
            "0",
            Below(BIAS, 1e-10),
        ),
        Claim(
            "It sets mean and variance, and keeps the shape: exponential values keep their skewness"
            " of 2.",
            "arithmetic: skewness and kurtosis do not change under a x + b, a > 0",
            "skewness 2 before and after",
            Every(
                Within(SKEW_BEFORE, 1.8, 2.2),
                Below(SKEW_CHANGE, 1e-3),
                Below(KURTOSIS_CHANGE, 1e-2),
                Below(MOMENTS, 1e-3),
            ),
        ),
        Claim(
            "With batch norm a network trains better, also in training error.",
            f"{IOFFE}, section 4.2; {SANTURKAR}, figure 1",
            "curves only",
            Above(HELPS),
        ),
        Claim(
            "It helps even when noise that changes with each step follows it: the cause is not that"
            " distributions stay in place.",
            f"{SANTURKAR}, section 2.1 and figure 2",
            "curves only",
            NOISE_IS_NO_HARM,
            shows_at="paper",
        ),
        Claim(
            "At initialisation it makes each branch small beside its shortcut, the more so the"
            " deeper the block: block l's branch has about 1/l of its variance.",
            f"{DE}, section 3",
            "1 over the block's number: the ratio grows by 1 from block to block",
            Within(GROWTH, 0.5, 1.5),
        ),
    )
    scales: ClassVar[dict[ScaleName, NetworkScale]] = {
        "tiny": NetworkScale(
            seconds=6,
            images=Images("digits", train=200, test=100),
            depth=8,
            width=4,
            recipe=Recipe(2, learning_rate=0.05),
        ),
        "small": NetworkScale(
            seconds=240,
            images=Images(train=3200, test=800, side=16),
            depth=32,
            width=8,
            recipe=Recipe(8, learning_rate=0.05),
        ),
        "paper": NetworkScale(
            seconds=6e5, images=Images("cifar10"), depth=20, width=16, recipe=PUBLISHED
        ),
    }

    def conditions(self, scale: NetworkScale) -> Sequence[str]:
        return ["single layers", *KINDS]

    def run(self, condition: str, scale: NetworkScale, seed: int, device: str) -> dict[str, Any]:
        if condition == "single layers":
            return {
                **_coupling(),
                **_modes(),
                **_scaling(),
                **_shape(),
                "variances": _variances(seed),
            }
        split = scale.images.read()
        model = network_for(
            split,
            scale.depth,
            scale.width,
            seed,
            None,
            norm="none" if condition == KINDS[0] else "batch",
        )
        if condition == KINDS[2]:
            _add_noise(model)
        return learn(model, split, scale.recipe, seed=seed, device=device).record()

    def measure(self, trials: Trials, scale: NetworkScale) -> Measured:
        layers = trials["single layers"]
        # In training mode: in evaluation there is no noise, and a network that is used to it errs.
        errors = {kind: [_last(trial) for trial in trials[kind]] for kind in KINDS}
        evaluated = {kind: [trial["final_train_error"] for trial in trials[kind]] for kind in KINDS}
        exact = (OTHERS, ALONE, SCALED, GRADIENT, BIAS, MODES)
        shape = (SKEW_BEFORE, SKEW_CHANGE, KURTOSIS_CHANGE, MOMENTS)
        return {
            **{name: [trial[name] for trial in layers] for name in (*exact, *shape)},
            **{f"training error {kind}": values for kind, values in errors.items()},
            **{f"the same in evaluation mode, {kind}": each for kind, each in evaluated.items()},
            HELPS: paired(errors[KINDS[0]], errors[KINDS[1]]),
            NOISY: paired(errors[KINDS[0]], errors[KINDS[2]]),
            GROWTH: [_slope(trial["variances"]) for trial in layers],
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, (left, middle, right) = panels(theme, 3)
        for number, kind in enumerate(KINDS):
            seeds = trials[kind]
            curves = [[100 * error for error in trial["batch_error"]] for trial in seeds]
            spread(left, range(1, max(map(len, curves)) + 1), curves, kind, number, theme)
        label_epochs(left)
        left.set_ylabel("training error, %")
        name_curves(left, theme)
        layer = trials["single layers"][0]
        for number, when in enumerate(("before", "after")):
            places, heights = layer["histograms"][when]
            spread(middle, places, [heights], f"{when} batch norm", number, theme)
        middle.set_xlabel("value")
        middle.set_ylabel("density")
        name_curves(middle, theme)
        ratios = [trial["variances"] for trial in trials["single layers"]]
        blocks = list(range(1, len(ratios[0]) + 1))
        spread(right, blocks, ratios, "measured", 0, theme)
        right.plot(blocks, blocks, color=theme.ink, linestyle=(0, (1, 2)), label="block's number")
        right.set_xlabel("block")
        right.set_ylabel("variance of shortcut over branch")
        name_curves(right, theme)
        return figure


def _coupling() -> dict[str, float]:
    """Change one image of eight, and look at the others' outputs."""
    layer = nn.BatchNorm2d(4).to("float64")
    x = ops.randn(8, 4, 5, 5, dtype="float64").numpy()
    changed = x.copy()
    changed[0] += 3
    found = {}
    for name, mode in ((OTHERS, True), (ALONE, False)):
        layer.train(mode)
        with no_grad():
            one, other = (layer(Tensor(values)).numpy()[1:] for values in (x, changed))
        found[name] = float(abs(one - other).max())
    return found


def _modes() -> dict[str, float]:
    """Ask a layer in both modes, with small batches and with large ones, of the same images."""
    images = ops.randn(512, 4, 3, 3, dtype="float64").numpy()
    layer = nn.BatchNorm2d(4).to("float64")
    far = {}
    with no_grad():
        for _ in range(100):  # until its running statistics are those of all images
            layer(Tensor(images))
        whole = layer.eval()(Tensor(images)).numpy()
        for size in (2, 64):
            layer.train()
            parts = [layer(Tensor(part)).numpy() for part in np.split(images, 512 // size)]
            far[size] = float(abs(np.concatenate(parts) - whole).mean())
    return {MODES: far[2] / far[64] if far[64] else 0.0}


def _scaling() -> dict[str, float]:
    """Multiply the weights before a batch norm, and give them a bias."""
    x = ops.randn(8, 3, 6, 6, dtype="float64")
    cotangent = ops.randn(8, 4, 6, 6, dtype="float64")
    convolution = nn.Conv2d(3, 4, 3, padding=1).to("float64")
    norm = nn.BatchNorm2d(4, eps=1e-12).to("float64")

    def step() -> tuple[Any, float]:
        convolution.zero_grad()
        output = norm(convolution(x))
        (output * cotangent).sum().backward()
        return output.numpy().copy(), _norm(convolution.weight.grad)

    before, gradient = step()
    bias = _norm(convolution.bias.grad) / gradient
    convolution.weight.data[...] *= 10
    after, smaller = step()
    return {
        SCALED: float(abs(after - before).max() / abs(before).max()),
        GRADIENT: 10 * smaller / gradient,
        BIAS: bias,
    }


def _shape() -> dict[str, Any]:
    """Send exponential values through, and compare the moments."""
    values = -np.log1p(-ops.rand(256, 2, 16, 16, dtype="float64").numpy())
    with no_grad():
        normed = nn.BatchNorm2d(2).to("float64")(Tensor(values)).numpy()
    before, after = values[:, 0], normed[:, 0]
    return {
        SKEW_BEFORE: _moment(before, 3),
        SKEW_CHANGE: abs(_moment(after, 3) - _moment(before, 3)),
        KURTOSIS_CHANGE: abs(_moment(after, 4) - _moment(before, 4)),
        MOMENTS: max(abs(float(after.mean())), abs(float(after.var()) - 1)),
        "histograms": {"before": _histogram(before), "after": _histogram(after)},
    }


def _moment(values: Any, power: int) -> float:
    """Return a standardised moment: 3 is skewness, 4 kurtosis."""
    return float(np.mean(((values - values.mean()) / values.std()) ** power))


def _histogram(values: Any) -> tuple[list[float], list[float]]:
    heights, edges = np.histogram(values, bins=40, range=(-2, 5), density=True)
    return ((edges[1:] + edges[:-1]) / 2).tolist(), heights.tolist()


def _last(trial: Mapping[str, Any]) -> float:
    """Return the last epoch's training error in training mode; one that diverged guesses."""
    return float(trial["final_train_error"] if trial["diverged"] else trial["batch_error"][-1])


def _norm(gradient: Tensor | None) -> float:
    assert gradient is not None
    return float(np.linalg.norm(gradient.numpy()))


def _variances(seed: int) -> list[float]:
    """Return variance of shortcut over branch at every addition of a stage without ReLUs behind."""
    model = cifar_resnet(56, seed=seed, order="full_preactivation")
    with _Sides() as sides, no_grad():
        model.train()(ops.randn(16, 3, 16, 16))
    return sides.ratios[:9]  # of the first stage: later ones begin anew, with a projection


class _Sides(EngineHook):
    """Looks at the two sides of every residual addition."""

    def __init__(self) -> None:
        self.ratios: list[float] = []

    def op_ran(self, op: Op[Any], inputs: tuple[Any, ...], output: Any, node: Node | None) -> None:
        if op.name == "residual_add":
            shortcut, branch = (each.numpy().var() for each in inputs[:2])
            self.ratios.append(float(shortcut / branch))


def _slope(ratios: Sequence[float]) -> float:
    """Return the slope of the straight line through the ratios of all blocks."""
    return float(np.polyfit(np.arange(len(ratios)), ratios, 1)[0])


class _Noise(nn.Module):
    """Shift and spread each channel anew at every step, by other numbers for every channel."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        if not self.training:
            return x
        shape = 1, x.shape[1], 1, 1
        device = {"dtype": x.dtype, "device": x.device}
        return x * (1 + 0.5 * ops.randn(*shape, **device)) + 0.5 * ops.randn(*shape, **device)


def _add_noise(model: nn.Module) -> None:
    """Put noise behind every batch norm."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, _Noise(child))


EXPERIMENT = _BatchNorm()
