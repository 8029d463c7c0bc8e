"""What a network does, counted from the ops that it runs on an image.

Nothing here knows a layer: a hook notes the ops, and every count is read off its notes. On the
device "meta" they run in no time, and compute nothing.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from minires import devices
from minires.autograd import EngineHook, Node, Op, Tensor, enable_grad, expand, module_path
from minires.nn import Module, Parameter
from minires.ops import zeros

Shape = tuple[int, ...]

_FLOAT = 4  # bytes of a float32


def _by_output(inputs: Sequence[Shape], output: Shape) -> int:
    """Each value of the output sums over the weights of one filter."""
    return math.prod(output) * math.prod(inputs[1][1:])


def _by_input(inputs: Sequence[Shape], output: Shape) -> int:
    """Each value of the input is spread by the weights of one filter."""
    return math.prod(inputs[0]) * math.prod(inputs[1][1:])


# The ops that are weighted layers, and how many products with a weight each computes.
MACS: dict[str, Callable[[Sequence[Shape], Shape], int]] = {
    "conv2d": _by_output,
    "linear": _by_output,
    "conv_transpose2d": _by_input,
}

# Ops that say by `dim` along which axes they join values.
REDUCTIONS = "mean", "sum", "var", "std", "amax", "amin", "logsumexp", "softmax", "log_softmax"

# Ops that do the work of several; while they are counted they run as those.
_FUSED = "conv2d_relu", "batch_norm_relu", "batch_norm_relu_conv2d"


class Step(NamedTuple):
    """One op that ran.

    Attributes
    ----------
    path : str
        The module that ran it, such as ``"layer1.0.conv1"``.
    op : str
    sources : tuple of int or None
        For each input the number of the step that made it; None for parameters and constants.
    shapes : tuple of tuple of int
        Those of the inputs.
    output : tuple of int
        The shape of the output.
    is_view : bool
        Whether the output takes no memory of its own.
    learned : bool
        Whether parameters have a part in the output.
    recorded : bool
        Whether the engine tells the constants: not under `no_grad`, for one.
    constants : mapping
        With what else the op was called.
    gates : tuple of int
        The sources that only scale what is passed on here: operands of a product that are
        broadcast, or that were made of means over the image.
    """

    path: str
    op: str
    sources: tuple[int | None, ...]
    shapes: tuple[Shape, ...]
    output: Shape
    is_view: bool
    learned: bool
    recorded: bool
    constants: Mapping[str, Any]
    gates: tuple[int, ...] = ()

    @property
    def macs(self) -> int:
        """Multiplications with weights, each with an addition."""
        return MACS[self.op](self.shapes, self.output) if self.op in MACS else 0

    @property
    def passed_on(self) -> list[int]:
        """The steps whose outputs are passed on here, but for gates."""
        return [s for s in self.sources if s is not None and s not in self.gates]


class Counter(EngineHook):
    """Note every op that runs inside a ``with`` block.

    Parameters
    ----------
    image : Tensor
        What the network is given; it stands in the notes as step 0. It should require a gradient:
        where none is needed the engine does not tell what else an op was called with.

    Attributes
    ----------
    steps : list of Step
    used : set of int
        The ids of the parameters that had a part.

    Examples
    --------
    >>> import minires as mr
    >>> from minires.models.counting import Counter
    >>> image = mr.zeros(1, 3, 8, 8, device="meta", requires_grad=True)
    >>> with Counter(image) as counter:
    ...     y = mr.nn.Conv2d(3, 16, 3).to("meta")(image)
    >>> counter.steps[1].op, counter.steps[1].macs
    ('conv2d', 15552)
    """

    def __init__(self, image: Tensor) -> None:
        given = Step("", "image", (), (), tuple(image.shape), True, False, True, {})
        self.steps = [given]
        self.used: set[int] = set()
        # By the array: a detached Tensor has the same one.
        self._numbers = {id(image._data): 0}
        # The steps that made the same of the whole image at each place.
        self._pooled: set[int] = set()
        # What is gone would leave its id to something else.
        self._alive = [image]

    def op_ran(self, op: Op[Any], inputs: tuple[Any, ...], output: Any, node: Node | None) -> None:
        """Note the op."""
        sources = tuple([self._numbers.get(id(getattr(x, "_data", x))) for x in inputs])
        learned = False
        for x, source in zip(inputs, sources, strict=True):
            if source is not None:
                learned = learned or self.steps[source].learned
            elif isinstance(x, Parameter):
                self.used.add(id(x))
                learned = learned or x.requires_grad
        step = Step(
            module_path(),
            op.name,
            sources,
            tuple([getattr(x, "shape", ()) for x in inputs]),
            output.shape,
            op.is_view,
            learned,
            node is not None,
            {} if node is None else node.called_with,
        )
        if op.name == "mul":
            step = step._replace(gates=self._gates(step))
        before = step.passed_on
        if _joins_the_image(step) or (before and self._pooled.issuperset(before)):
            self._pooled.add(len(self.steps))
        self._numbers[id(output._data)] = len(self.steps)
        self._alive.append(output)
        self.steps.append(step)

    def _gates(self, product: Step) -> tuple[int, ...]:
        """Tell which operands only scale; an image may be a single pixel, as its gate is."""
        made = [s for s in product.sources if s is not None]
        whole = [s for s in made if self.steps[s].output == product.output]
        scaled = [s for s in whole if s not in self._pooled] or whole or made
        return tuple([s for s in made if s not in scaled])

    def numbers_of(self, outputs: Any) -> Iterator[int]:
        """Iterate over the steps that made a network's outputs, in whatever they are gathered."""
        if isinstance(outputs, Tensor):
            yield self._numbers.get(id(outputs._data), 0)
        elif isinstance(outputs, Mapping):
            yield from self.numbers_of(tuple(outputs.values()))
        elif isinstance(outputs, (tuple, list)):
            for each in outputs:
                yield from self.numbers_of(each)
        elif hasattr(outputs, "__dict__"):
            yield from self.numbers_of(vars(outputs))


def _joins_the_image(step: Step) -> bool:
    """Tell whether a step reduces the rows and the columns of its input."""
    if step.op not in REDUCTIONS or not step.recorded:
        return False
    dim, rank = step.constants["dim"], len(step.shapes[0])
    return {rank - 2, rank - 1} <= set(dim if isinstance(dim, tuple) else (dim,))


class Counts(NamedTuple):
    """What a network does with one image.

    Attributes
    ----------
    steps : list of Step
        The ops that it ran; 0 is the image.
    images : int
        How many they ran on.
    params : int
        Learned values of the network.
    macs : int
        Multiply-accumulates of convolutions and linear layers.
    depth : int
        Convolutions and linear layers on the longest way to an output, not through gates.
    activation_bytes : int
        What the outputs of all ops take in float32, without those that are views.
    """

    steps: list[Step]
    images: int
    params: int
    macs: int
    depth: int
    activation_bytes: int


def without_values(model: Module) -> Module:
    """Return a copy of the model on the device "meta"; the model itself stays as it is."""
    stand_ins: dict[int, Any] = {}
    for value in (*model.parameters(), *model.buffers()):
        empty = devices.meta.array(value._data)
        learned = isinstance(value, Parameter)
        stand_ins[id(value)] = Parameter(empty, value.requires_grad) if learned else Tensor(empty)
    return copy.deepcopy(model, stand_ins)


def count(model: Module, image: Shape) -> Counts:
    """Count what a model on the device "meta" does with one image.

    It runs in evaluation mode. If parts of it take part in training only, such as auxiliary heads,
    it is counted as it runs in training.

    Parameters
    ----------
    model : Module
        One for the purpose: its mode changes. See `without_values`.
    image : tuple of int
        Mostly (C, H, W): the shape of an input without the axis of the batch.

    Returns
    -------
    Counts

    Raises
    ------
    ValueError
        If the model does not take such images.
    TypeError
        If it takes more than an image.
    NoValuesError
        If it looks at values.

    Examples
    --------
    >>> import minires as mr
    >>> from minires.models.counting import count
    >>> with mr.devices.default("meta"):
    ...     model = mr.models.cifar_resnet(20)
    >>> counts = count(model, (3, 32, 32))
    >>> counts.macs, counts.depth
    (40551040, 20)
    """
    try:
        inspect.signature(model.forward).bind(image)
    except TypeError as error:
        raise TypeError(
            f"{type(model).__name__} cannot be counted: its forward is given an image and nothing"
            f" else, but {error}; wrap it in a Module that makes the other inputs itself"
        ) from None
    parameters = list(model.parameters())
    used, counts = _counted(model.eval(), image, 1)
    if used < len(parameters):
        # In training a batch norm needs more than one value.
        more, in_training = _counted(model.train(), image, 2)
        counts = in_training if more > used else counts
    return counts._replace(params=sum([math.prod(p.shape) for p in parameters]))


def _counted(model: Module, image: Shape, images: int) -> tuple[int, Counts]:
    """Run the model; return how many parameters had a part, and what else is counted."""
    x = zeros(images, *image, device=devices.meta, requires_grad=True)
    with devices.default(devices.meta), enable_grad(), expand(*_FUSED), Counter(x) as counter:
        outputs = model(x)
    steps = counter.steps
    depths: list[int] = []
    for step in steps:
        before = max([depths[source] for source in step.passed_on], default=0)
        depths.append(before + (step.op in MACS))
    values = sum([math.prod(step.output) for step in steps if not step.is_view])
    return len(counter.used), Counts(
        steps=steps,
        images=images,
        params=0,
        macs=sum([step.macs for step in steps]) // images,
        depth=max([depths[number] for number in counter.numbers_of(outputs)], default=0),
        activation_bytes=values // images * _FLOAT,
    )
