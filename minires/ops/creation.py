"""Making Tensors."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from minires import devices
from minires.autograd import Tensor, op
from minires.devices import Array, Device, random

from .operands import lengths_of
from .shapes import cast


def tensor(
    data: Any, dtype: Any = None, requires_grad: bool = False, device: str | Device | None = None
) -> Tensor:
    """Make a Tensor of `data`, copying it.

    Parameters
    ----------
    data : number, nested list, array or Tensor
        Arrays and NumPy scalars keep their dtype; Python floats become float32, integers int64.
    dtype : optional
        Of the values, such as ``mr.float64`` or ``"float64"``.
    requires_grad : bool
        Whether backward passes should compute a gradient for it.
    device : str or Device, optional
        By default where the data are, if they are an array on a device other than the CPU; else
        the CPU, or the device of `minires.devices.default`.

    Returns
    -------
    Tensor
        A leaf.

    Raises
    ------
    TypeError
        If a gradient is asked for and the dtype is not floating, or the data are no numbers.

    Examples
    --------
    >>> import minires as mr
    >>> mr.tensor([[1.0, 2.0]], requires_grad=True)
    tensor([[1., 2.]], requires_grad=True)
    """
    plain = data._data if isinstance(data, Tensor) else data
    origin = devices.of(plain)
    place = origin if device is None and origin is not devices.cpu else devices.get(device)
    made = Tensor._wrap(place.array(_brought(plain, place), dtype))
    return made.requires_grad_(requires_grad)


def _brought(plain: Any, place: Device) -> Any:
    """Return data as `place` can copy them: arrays of another device come by way of the host."""
    origin = devices.of(plain)
    return plain if origin in (place, devices.cpu) else origin.to_numpy(plain)


def full(
    shape: tuple[int, ...],
    fill_value: float,
    dtype: Any = None,
    requires_grad: bool = False,
    device: str | Device | None = None,
) -> Tensor:
    """Tensor of `shape` filled with one value; float32 unless `dtype` says otherwise."""
    place = devices.get(device)
    kind = devices.default_float if dtype is None else devices.as_dtype(dtype)
    return Tensor._wrap(place.xp.full(shape, fill_value, kind)).requires_grad_(requires_grad)


def zeros(*shape: Any, **options: Any) -> Tensor:
    """Tensor of zeros; options as in `full`: dtype, requires_grad, device.

    Examples
    --------
    >>> import minires as mr
    >>> mr.zeros(2, 3).shape
    (2, 3)
    """
    return full(lengths_of(shape), 0, **options)


def ones(*shape: Any, **options: Any) -> Tensor:
    """Tensor of ones; options as in `full`: dtype, requires_grad, device."""
    return full(lengths_of(shape), 1, **options)


def _like(
    name: str, input: Tensor, dtype: Any, requires_grad: bool, device: str | Device | None
) -> Tensor:
    place = input.device if device is None else devices.get(device)
    kind = input.dtype if dtype is None else devices.as_dtype(dtype)
    if place is input.device:
        made = getattr(place.xp, name)(input._data, dtype=kind)
    else:
        made = getattr(place.xp, name.removesuffix("_like"))(tuple(input.shape), dtype=kind)
    return Tensor._wrap(made).requires_grad_(requires_grad)


def zeros_like(
    input: Tensor,
    dtype: Any = None,
    requires_grad: bool = False,
    device: str | Device | None = None,
) -> Tensor:
    """Zeros with the shape and memory order of `input`; also its dtype and device by default."""
    return _like("zeros_like", input, dtype, requires_grad, device)


def ones_like(
    input: Tensor,
    dtype: Any = None,
    requires_grad: bool = False,
    device: str | Device | None = None,
) -> Tensor:
    """Ones with the shape and memory order of `input`; also its dtype and device by default."""
    return _like("ones_like", input, dtype, requires_grad, device)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    dtype: Any = None,
    requires_grad: bool = False,
    device: str | Device | None = None,
) -> Tensor:
    """Numbers from `start` (or 0) up to, not including, `end`.

    Integers give int64, floats float32, unless `dtype` says otherwise. For an integer dtype the
    arguments are cut to whole numbers first.

    Examples
    --------
    >>> import minires as mr
    >>> mr.arange(3)
    tensor([0, 1, 2])
    """
    first, last = (0, start) if end is None else (start, end)
    if dtype is None:
        whole = all(isinstance(number, Integral) for number in (first, last, step))
        dtype = devices.int64 if whole else devices.default_float
    kind = devices.as_dtype(dtype)
    if kind.kind in "iu":
        first, last, step = int(first), int(last), int(step)
    made = devices.get(device).xp.arange(first, last, step, kind)
    return Tensor._wrap(made).requires_grad_(requires_grad)


def eye(
    n: int,
    m: int | None = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: str | Device | None = None,
) -> Tensor:
    """Ones on the main diagonal of a matrix (n, m), zeros beside it; square without `m`.

    Float32 unless `dtype` says otherwise.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    kind = devices.default_float if dtype is None else devices.as_dtype(dtype)
    made = devices.get(device).xp.eye(n, m, dtype=kind)
    return Tensor._wrap(made).requires_grad_(requires_grad)


def randn(
    *shape: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    device: str | Device | None = None,
) -> Tensor:
    """Standard normal random numbers, from the streams that `manual_seed` seeds."""
    return _drawn("standard_normal", lengths_of(shape), dtype, requires_grad, device)


def rand(
    *shape: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    device: str | Device | None = None,
) -> Tensor:
    """Uniform random numbers in [0, 1), from the streams that `manual_seed` seeds."""
    return _drawn("random", lengths_of(shape), dtype, requires_grad, device)


def _drawn(
    distribution: str,
    shape: tuple[int, ...],
    dtype: Any,
    requires_grad: bool,
    device: str | Device | None,
) -> Tensor:
    if not devices.get(device).holds_values:
        return zeros(shape, dtype=dtype, requires_grad=requires_grad, device=device)
    drawn = getattr(random.generator(), distribution)(shape)
    return tensor(drawn, dtype or devices.default_float, requires_grad, device)


def to(
    input: Tensor, *targets: Any, device: str | Device | None = None, dtype: Any = None
) -> Tensor:
    """Return the Tensor in another dtype or on another device; itself where nothing changes.

    Parameters
    ----------
    input : Tensor
    *targets : dtype, Device, or the name of either
        One of them, or a device and a dtype.
    device : str or Device, optional
    dtype : optional
        The same by keyword.

    Raises
    ------
    ValueError, TypeError
        If a target is neither, or there are two of a kind, or none.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ones(2).to("float64").dtype
    dtype('float64')
    """
    place, kind = destination(targets, device, dtype)
    origin = input.device
    if place is not None and place is not origin:
        input = _transfer(input, origin=origin, target=place)
    return input if kind is None else cast(input, kind)


@op(name="to")
def _transfer(x: Array, *, origin: Device, target: Device) -> Array:
    return target.array(_brought(x, target))


@_transfer.vjp
def _(g: Array, origin: Device) -> Any:
    return to(g, origin) if isinstance(g, Tensor) else origin.array(_brought(g, origin))


def is_device(target: Any) -> bool:
    """Tell whether `target` names a device rather than a dtype."""
    names = ("cpu", "numpy", "cuda", "meta")
    return isinstance(target, Device) or (isinstance(target, str) and target.split(":")[0] in names)


def destination(
    targets: tuple[Any, ...], device: str | Device | None, dtype: Any
) -> tuple[Device | None, Any]:
    """Sort what `to` was given into a device and a dtype; None for what it does not name.

    Raises
    ------
    ValueError, TypeError
        As `to` says.
    """
    places = [target for target in targets if is_device(target)]
    kinds = [devices.as_dtype(target, _NO_TARGET) for target in targets if not is_device(target)]
    places += [] if device is None else [device]
    kinds += [] if dtype is None else [devices.as_dtype(dtype)]
    if len(places) > 1 or len(kinds) > 1 or not (places or kinds):
        raise TypeError(
            "to: takes a device, a dtype, or one of each, as in x.to('cuda', mr.float16); found"
            f" the devices {list(map(str, places))} and the dtypes {list(map(str, kinds))}"
        )
    return (devices.get(places[0]) if places else None), (kinds[0] if kinds else None)


_NO_TARGET = (
    "is neither a device nor a dtype; there are devices 'cpu', 'cuda', 'cuda:0', 'cuda:1', ... and"
    " 'meta', and dtypes such as mr.float32 or 'float64'"
)


def cpu(input: Tensor) -> Tensor:
    """Return the Tensor on the CPU; itself if it is there."""
    return to(input, devices.cpu)


def cuda(input: Tensor, device: int = 0) -> Tensor:
    """Return the Tensor on the GPU with this number; itself if it is there."""
    return to(input, f"cuda:{device}")


def float_(input: Tensor) -> Tensor:
    """Return the values as float32."""
    return cast(input, devices.float32)


def double(input: Tensor) -> Tensor:
    """Return the values as float64."""
    return cast(input, devices.float64)
