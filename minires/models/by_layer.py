"""A network layer by layer: what each one makes, learns, computes and sees."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from minires.nn import Module
from minires.serialize.json_text import to_json

from .counting import Counts, Shape, count, without_values
from .receptive_field import Field, Span, fields
from .registry import create, input_of
from .tables import fitted, in_bytes, plain_table, text_of

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


class Row(NamedTuple):
    """One run of a layer.

    Attributes
    ----------
    path : str
        Its name in the network, such as ``"layer1.0.conv1"``; empty for the network itself, which
        has a row if it has parameters of its own.
    kind : str
        Its class.
    output : tuple of int or None
        The shape of what it made, for one image; None if it did not run.
    params : int
        Learned values of its own that no row above has.
    macs : int
        Multiply-accumulates for one image.
    field : (Span, Span) or None
        What its output sees of the image: rows and columns.
    """

    path: str
    kind: str
    output: Shape | None
    params: int
    macs: int
    field: Field | None


class Summary(NamedTuple):
    """A network's layers in the order in which they run, as often as they do, and its totals.

    A layer that runs again at once has a single row for both.

    `print` shows it as a table, and so does rich: as many columns as the terminal has room for.

    Attributes
    ----------
    model : str
        Its class, or the name that it was made by.
    input : tuple of int
        Shape of an image.
    rows : list of Row
    params, macs, depth, activation_bytes : int
        See `Counts`.
    in_training : bool
        Whether it was counted as it runs in training.
    """

    model: str
    input: Shape
    rows: list[Row]
    params: int
    macs: int
    depth: int
    activation_bytes: int
    in_training: bool

    @property
    def total(self) -> str:
        """The totals in one line."""
        told = (
            f"{self.model}, {_times(self.input)}: {self.params:,} parameters, {self.macs:,} MACs,"
            f" depth {self.depth}, activations {in_bytes(self.activation_bytes)}"
        )
        return f"{told}; as it runs in training" if self.in_training else told

    def to_json(self) -> str:
        """Write it as JSON; a receptive field of the whole image, or an unknown one, is null."""
        names = "output", "params", "macs"
        layers = [
            {
                "path": row.path,
                "type": row.kind,
                **{name: getattr(row, name) for name in names},
                "receptive_field": _numbers(row.field, "size"),
                "stride": _numbers(row.field, "stride"),
            }
            for row in self.rows
        ]
        totals = {name: value for name, value in self._asdict().items() if name != "rows"}
        return to_json({"schema": "minires.summary/1", **totals, "layers": layers})

    def __str__(self) -> str:
        return text_of(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Show the table, and the totals below it."""
        from rich.text import Text

        headings = "layer", "type", "output", "parameters", "MACs", "sees", "stride"
        table = plain_table(*headings, words=3)
        for row in self.rows:
            output = "did not run" if row.output is None else _times(row.output)
            numbers = f"{row.params:,}" * (row.params > 0), f"{row.macs:,}" * (row.macs > 0)
            seen = _told(row.field, "size"), _told(row.field, "stride")
            table.add_row(row.path or "(itself)", row.kind, output, *numbers, *seen)
        yield fitted(table, options.max_width)
        yield Text()
        yield Text(self.total, "bold")


class NetworkCounts(NamedTuple):
    """What `minires models` tells of a network; see `Counts`."""

    name: str
    params: int
    macs: int
    input: Shape
    depth: int
    activation_bytes: int


def counts_of(name: str, **options: Any) -> NetworkCounts:
    """Count a network by its name; no weights are made.

    Parameters
    ----------
    name : str
        One of `mr.models.list()`.
    **options
        As for `mr.models.create`.

    Returns
    -------
    NetworkCounts

    Examples
    --------
    >>> import minires as mr
    >>> counts = mr.models.counts_of("cifar_resnet20")
    >>> counts.params, counts.macs, counts.depth
    (269722, 40551040, 20)
    """
    model, image = create(name, device="meta", **options), input_of(name)
    found = count(model, image)
    return NetworkCounts(name, found.params, found.macs, image, found.depth, found.activation_bytes)


def summary(model: Module | str, input: Shape | None = None) -> Summary:
    """Tell a network layer by layer: output shapes, parameters, MACs, receptive fields.

    A copy without values is run, on one image in evaluation mode: the model stays as it is, and
    nothing is computed. A receptive field is that of the layer's output, gates left aside.

    Parameters
    ----------
    model : Module or str
        A network, or the name of one, of which no weights are made.
    input : tuple of int, optional
        Shape of an image, (C, H, W), or of any input without the axis of the batch. A network by
        name has a default, the images that it was made for.

    Returns
    -------
    Summary

    Raises
    ------
    ValueError
        If the model does not take such images.
    TypeError
        If it takes more than an image, is no Module, or is one and `input` is left out.
    NoValuesError
        If it looks at values, which are not there. A forward that asks `x.device.holds_values`
        first is counted.

    Examples
    --------
    >>> import minires as mr
    >>> model = mr.nn.Sequential(mr.nn.Conv2d(3, 8, 3), mr.nn.ReLU(), mr.nn.MaxPool2d(2))
    >>> print(mr.models.summary(model, (3, 32, 32)))
    layer   type        output    parameters      MACs   sees   stride
    ──────────────────────────────────────────────────────────────────
    0       Conv2d      8x30x30          224   194,400      3        1
    1       ReLU        8x30x30                             3        1
    2       MaxPool2d   8x15x15                             4        2
    <BLANKLINE>
    Sequential, 3x32x32: 224 parameters, 194,400 MACs, depth 1, activations 63.3 KiB
    """
    if isinstance(model, str):
        name, network = model, create(model, device="meta")
        input = input_of(model) if input is None else input
    elif not isinstance(model, Module):
        raise TypeError(
            "summary: a network is needed, a Module or the name of one in mr.models.list(); found a"
            f" {type(model).__name__}"
        )
    elif input is None:
        raise TypeError(
            f"summary: a {type(model).__name__} does not tell for which images it was made; say"
            " their shape, such as summary(model, (3, 32, 32))"
        )
    else:
        name, network = type(model).__name__, without_values(model)
    image = tuple(input)
    found = count(network, image)
    return Summary(
        name,
        image,
        _rows(network, found),
        found.params,
        found.macs,
        found.depth,
        found.activation_bytes,
        found.images > 1,
    )


def _rows(network: Module, counts: Counts) -> list[Row]:
    """Make a row of every run of a layer, and of what has parameters and did not run.

    A module with others inside is no layer, unless it has parameters or weighted ops of its own.
    """
    steps, sight = counts.steps, fields(counts.steps)
    modules = dict(network.named_modules())
    told: set[int] = set()

    def row(path: str, run: list[int]) -> Row:
        own = [p for p in vars(modules[path])["_parameters"].values() if p is not None]
        params = sum(math.prod(p.shape) for p in own if id(p) not in told)
        told.update(map(id, own))
        macs = sum(steps[number].macs for number in run) // counts.images
        made = (steps[run[-1]].output[1:], sight[run[-1]]) if run else (None, None)
        return Row(path, type(modules[path]).__name__, made[0], params, macs, made[1])

    runs = groupby(range(1, len(steps)), lambda number: steps[number].path)
    rows = [row(path, list(run)) for path, run in runs]
    idle = modules.keys() - {each.path for each in rows}
    rows += [row(path, []) for path in modules if path in idle]
    layers = {path for path, module in modules.items() if not any(module.children())} - idle
    return [each for each in rows if each.params or each.macs or each.path in layers]


def _times(lengths: Shape) -> str:
    return "x".join(map(str, lengths)) or "1"


def _known(field: Field | None) -> Field | None:
    return None if field is None or math.inf in (field[0].size, field[1].size) else field


def _numbers(field: Field | None, what: str) -> list[float] | None:
    known = _known(field)
    return known and [_plain(span, what) for span in known]


def _told(field: Field | None, what: str) -> str:
    numbers = _numbers(field, what)
    if numbers is None:
        return "" if field is None else {"size": "all", "stride": ""}[what]
    return "x".join(f"{number:g}" for number in dict.fromkeys(numbers))


def _plain(span: Span, what: str) -> float:
    number = getattr(span, what)
    return int(number) if number == int(number) else float(number)
