"""What a trace consists of: plain records, without arrays and without the tape.

A trace numbers its *values* (Tensors), its *forward* steps (an op ran) and its *backward* steps
(the gradient of one value was summed from its contributions, and the op that made it sent it on).
Records refer to each other by these numbers, so that a trace reads the same from a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal


@dataclass(slots=True)
class Stats:
    """A summary of one array.

    Attributes
    ----------
    norm : float
        Euclidean norm over all elements; right at 1e-30 and 1e30 in float32 as well.
    rms : float
        norm / sqrt(size).
    mean, std, min, max : float
    zeros : float
        Share of elements that are zero, 0 to 1.
    tiny : float
        Share of elements that are not zero but below the smallest normal number of the dtype.
    nans, infs : int
        Counted over all elements.
    sample : int
        How many elements `mean` to `tiny` were computed from; 0 when from all of them.
    """

    norm: float
    rms: float
    mean: float
    std: float
    min: float
    max: float
    zeros: float
    tiny: float
    nans: int = 0
    infs: int = 0
    sample: int = 0

    @property
    def finite(self) -> bool:
        """Whether there is neither NaN nor infinity in the array."""
        return not (self.nans or self.infs)


@dataclass(slots=True)
class Thumbnail:
    """A small picture of an array: signed bytes, of which 127 stands for `scale`.

    Attributes
    ----------
    rows, columns : int
        At most 32 each.
    scale : float
        The largest magnitude in the picture.
    pixels : str
        Base64 of rows * columns signed bytes, row by row.
    """

    rows: int
    columns: int
    scale: float
    pixels: str


@dataclass(slots=True)
class Value:
    """A Tensor that took part: given from outside, or made by an op.

    Attributes
    ----------
    index : int
    name : str
        A parameter's or buffer's full name; "module/op" for what an op made (such as
        "layer1.0/residual_add", a second one "layer1.0/residual_add:2"); else "input 0" and so on.
    kind : {"result", "parameter", "buffer", "input"}
        Made by an op; a parameter or buffer of the model; or anything else that ops were given.
    shape : tuple of int
    dtype : str
    requires_grad : bool
    op : int or None
        The forward step that made it.
    stats : Stats or None
        Of the values when they were first used; None where `select` left them out.
    gradient : Stats or None
        Of the gradient in the last backward pass that reached it; None if none did.
    thumbnail, gradient_thumbnail : Thumbnail or None
    detached_from : int or None
        The value whose memory this one shares, but not its place on the tape.
    checksum : int or None
        Of a parameter's bytes, by which two traces tell whether it has the same numbers.
    """

    index: int
    name: str
    kind: Literal["result", "parameter", "buffer", "input"]
    shape: tuple[int, ...]
    dtype: str
    requires_grad: bool
    op: int | None = None
    stats: Stats | None = None
    gradient: Stats | None = None
    thumbnail: Thumbnail | None = None
    gradient_thumbnail: Thumbnail | None = None
    detached_from: int | None = None
    checksum: int | None = None


@dataclass(slots=True)
class Operand:
    """One input of an op.

    Attributes
    ----------
    edge : str
        The name of the op's parameter, such as "weight" or "shortcut".
    value : int or None
        Which value; None for a number or None.
    text : str
        The number, where it is no value.
    """

    edge: str
    value: int | None
    text: str = ""


@dataclass(slots=True)
class Forward:
    """An op ran.

    Attributes
    ----------
    index : int
    op : str
        Name of the op.
    module : str
        Path of the module it ran in, '' outside of modules.
    source : str
        "file:line" that called it.
    operands : tuple of Operand
    output : int
        The value it made.
    constants : dict of str to str
        Such as ``{"stride": "(1, 1)"}``.
    flops, bytes : int
        Estimates: multiplications and additions; bytes read and written.
    seconds : float
        Since the moment before; noise included.
    notes : dict of str to float
        What explanations need and only this moment knows, such as ``gamma_over_sigma``.
    vjp_of : int or None
        The backward step whose VJP ran this op (under ``create_graph=True``).
    recorded : bool
        Whether the op was put on the tape.
    twin_of : str
        The op that `minires.expand` spells out in this one and its neighbours, with a number that
        tells its calls apart, such as "conv2d:31"; nested ones are joined by "/".
    """

    index: int
    op: str
    module: str
    source: str
    operands: tuple[Operand, ...]
    output: int
    constants: dict[str, str] = field(default_factory=dict)
    flops: int = 0
    bytes: int = 0
    seconds: float = 0.0
    notes: dict[str, float] = field(default_factory=dict)
    vjp_of: int | None = None
    recorded: bool = True
    twin_of: str = ""


@dataclass(slots=True)
class Part:
    """A contribution that arrived at a value: what one use of it adds to its gradient.

    Attributes
    ----------
    consumer : int or None
        The forward step that used the value; None for the gradient that backward began with.
    slot : int
        Which input of the consumer.
    edge : str
        That input's name.
    stats : Stats or None
    cosine : float or None
        With the sum of all contributions; None where either is zero or not finite.
    share : float or None
        <part, sum> / <sum, sum>: shares add up to 1. None where the sum is zero or not finite.
    """

    consumer: int | None
    slot: int
    edge: str
    stats: Stats | None = None
    cosine: float | None = None
    share: float | None = None


@dataclass(slots=True)
class Sent:
    """What a VJP sent to one input of its op.

    Attributes
    ----------
    slot : int
    edge : str
    value : int
        The input.
    stats : Stats or None
    """

    slot: int
    edge: str
    value: int
    stats: Stats | None = None


@dataclass(slots=True)
class Backward:
    """The turn of one value in a backward pass.

    Attributes
    ----------
    index : int
    run : int
        Which backward pass, from 0.
    value : int
    parts : tuple of Part
        The contributions, in tape order; several where the value was used several times (a fork).
    stats : Stats or None
        Of their sum, the value's gradient.
    verdict : {"single", "exact", "wrong", "unseen"}
        A single contribution; the parts' sum is bit for bit the engine's gradient; it is not;
        `select` left it out.
    op : int or None
        The forward step whose VJP then ran; None for a leaf.
    sent : tuple of Sent
        What that VJP sent on.
    flops, bytes : int
    seconds : float
    checksum : int or None
        Of the gradient's bytes, where a replay is to be compared with it.
    changed_by_hook : bool
        A hook of the user's may have replaced the sum before it was sent on.
    """

    index: int
    run: int
    value: int
    parts: tuple[Part, ...]
    stats: Stats | None
    verdict: Literal["single", "exact", "wrong", "unseen"]
    op: int | None = None
    sent: tuple[Sent, ...] = ()
    flops: int = 0
    bytes: int = 0
    seconds: float = 0.0
    checksum: int | None = None
    changed_by_hook: bool = False


@dataclass(slots=True)
class Budget:
    """What a trace holds beside its records.

    Attributes
    ----------
    limit : int
        Bytes allowed, for arrays, thumbnails and what a replay keeps together.
    arrays, replay : int
        Bytes used by arrays and thumbnails, and by what a replay keeps.
    left_out : int
        How many arrays and thumbnails were not kept because of the limit.
    replay_state : str
        "kept", or why the tape was not kept.
    """

    limit: int
    arrays: int = 0
    replay: int = 0
    left_out: int = 0
    replay_state: str = "kept"


@dataclass(slots=True)
class Spectrum:
    """A path spectrum that was computed, without its arrays.

    Attributes
    ----------
    at : str
        Name of the value.
    value : int
    norms : tuple of float
        Of each part; the index is the number of branches crossed.
    shares : tuple of float or None
        <part, total> / <total, total>; None where the total is zero.
    total : float
        Norm of the total.
    paths : tuple of int
        How many paths cross so many branches.
    """

    at: str
    value: int
    norms: tuple[float, ...]
    shares: tuple[float | None, ...]
    total: float
    paths: tuple[int, ...]


@dataclass(slots=True)
class Records:
    """All that a trace knows without arrays; what its file's JSON holds.

    Attributes
    ----------
    schema : str
        ``"minires.trace/1"``.
    minires : str
        The version that recorded it.
    title : str
        The model's class, or what the caller said.
    save : {"summary", "thumbs", "full"}
    values, forward, backward : list
    steps : list of (str, int)
        The forward and backward steps as they happened: ("forward", index) or ("backward", index).
    modules : list of str
        Paths of the model's modules, in the order of their making.
    parameters : list of str
        Names of the model's parameters.
    budget : Budget
    spectra : list of Spectrum
    error : str or None
        The exception that ended the with-block.
    """

    # How Pydantic reads them and what they are made of: nothing is guessed, nothing left over.
    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "strict": True,
        "extra": "forbid",
        "ser_json_inf_nan": "strings",
    }

    schema: str
    minires: str
    title: str
    save: Literal["summary", "thumbs", "full"]
    budget: Budget
    values: list[Value] = field(default_factory=list)
    forward: list[Forward] = field(default_factory=list)
    backward: list[Backward] = field(default_factory=list)
    steps: list[tuple[Literal["forward", "backward"], int]] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    spectra: list[Spectrum] = field(default_factory=list)
    error: str | None = None


SCHEMA = "minires.trace/1"
