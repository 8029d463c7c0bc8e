"""The Tensor: an array, and its place on the tape."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from minires import devices
from minires.devices import Array, Device

from .context import current, located
from .node import TENSOR_TYPES, Node, leaf
from .version import KEPT, Version

if TYPE_CHECKING:
    from .methods import TensorMethods
else:

    class TensorMethods:
        """Operators and methods, attached by `minires.ops.methods`."""

        __slots__ = ()


class RemovableHandle:
    """Takes one hook away again.

    Parameters
    ----------
    hooks : dict
        Where hooks are registered.
    hook : callable
        The hook to add.
    """

    _keys = itertools.count()

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self._hooks = hooks
        self._key = next(self._keys)
        hooks[self._key] = hook

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self._key, None)


class Tensor(TensorMethods):
    """An array that can take part in automatic differentiation.

    Make one with `minires.tensor`. Tensors are never changed by arithmetic: ``x += y`` binds the
    name `x` to a new Tensor, and ``x[i] = v`` is refused.

    Parameters
    ----------
    data : array
        The values, on their device.
    node : Node, optional
        The tape's node of this value; None if it requires no gradient.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ("__weakref__", "_data", "_frozen", "_node", "_version")

    # Makes `ndarray * tensor` a Tensor instead of an object array.
    __array_ufunc__ = None

    _data: Array
    _node: Node | None
    _frozen: Node | None
    _version: Version | None

    def __init_subclass__(cls) -> None:
        TENSOR_TYPES.add(cls)

    def __init__(self, data: Array, node: Node | None = None) -> None:
        if not hasattr(data, "dtype") or isinstance(data, Tensor):
            raise TypeError(
                f"Tensor() wraps a device array, found {type(data).__name__}; make a Tensor of"
                " any data with minires.tensor(data)"
            )
        self._data = data
        self._node = node
        self._version = Version(data, exposed=True)

    @classmethod
    def _wrap(cls, data: Array, node: Node | None = None) -> Tensor:
        """Wrap an array that nobody else holds; NumPy's 0-d results are scalars, not arrays."""
        tensor = blank_tensor()
        tensor._data = data if data.__class__ in ARRAY_TYPES else devices.of(data).array(data)
        tensor._node = node
        tensor._version = None
        return tensor

    def _versioned(self) -> Version:
        version = self._version
        if version is None or version is KEPT:
            version = self._version = Version(self._data, kept=version is KEPT)
        return version

    @property
    def data(self) -> Array:
        """The values, as the device's array (not a copy).

        Assigning to it, also by ``t.data -= v``, is not recorded, but counted: backward refuses
        to use a value that it kept and that has changed since.
        """
        self._versioned().expose()
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        if isinstance(value, Tensor):
            value = value._data
        if value is not self._data:
            if hasattr(value, "dtype"):
                value = Tensor._wrap(value)._data
            else:
                value = self.device.array(value, self.dtype)
            if self._node is not None:
                self._check_replacement(value)
                if value.shape != self._node.shape:
                    self._node = self._node.succeeded_by_shape(value.shape)
                self._node.dtype = value.dtype
        self._versioned().wrote()
        if value is not self._data:
            # The new memory is shared with whoever made it, no longer with the old one's views;
            # but for the nodes that kept this Tensor its value was written.
            self._data, self._version = value, Version(value, exposed=True)
            self._version.wrote()

    def _check_replacement(self, value: Array) -> None:
        """Refuse data that would belie what the tape knows of this value."""
        if not self.is_leaf and (value.shape, value.dtype) != (self.shape, self.dtype):
            raise ValueError(
                f"data of shape {value.shape}, dtype {value.dtype} assigned to a Tensor of shape"
                f" {self.shape}, dtype {self.dtype} that an op made; only a leaf may change them"
            )
        if not devices.is_float(value.dtype):
            raise TypeError(
                f"data of dtype {value.dtype} assigned to a Tensor that requires a gradient; only"
                " floating Tensors have gradients"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""
        return self._data.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """The values' dtype."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim  # type: ignore[no-any-return]

    @property
    def device(self) -> Device:
        """Where the values live."""
        return devices.of(self._data)

    @property
    def requires_grad(self) -> bool:
        """Whether a backward pass carries a gradient to this value."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op made this value."""
        return self._node is None or self._node.op is None

    @property
    def grad_fn(self) -> Node | None:
        """The node of the op that made this value; None for a leaf."""
        return None if self.is_leaf else self._node

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient, after a backward pass; None before.

        Leaves have one, other values after `retain_grad`. It shares memory with nothing. Assign
        None, a Tensor or array of the same shape, or a number to replace it.
        """
        return None if self._node is None else self._node.grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if self._node is None:
            if value is None:
                return
            raise ValueError("grad assigned to a Tensor that does not require a gradient")
        if value is None:
            self._node.grad = None
            return
        if not isinstance(value, Tensor):
            value = Tensor(self.device.array(value, self.dtype))
        if value.shape == ():
            filled = self.device.xp.full_like(self._data, value._data)
            value = Tensor(filled)
        if value.shape != self.shape or value.dtype != self.dtype:
            raise ValueError(
                f"grad of shape {value.shape}, dtype {value.dtype} assigned to a Tensor of shape"
                f" {self.shape}, dtype {self.dtype}"
            )
        self._node.grad = Tensor._wrap(value._data.copy(order="K"))

    def requires_grad_(self, flag: bool = True) -> Tensor:
        """Make this leaf require a gradient, or no longer; return it.

        Raises
        ------
        TypeError
            If the dtype is not floating.
        ValueError
            If `flag` is False and an op made this value.
        """
        if flag and self._node is None:
            if not devices.is_float(self.dtype):
                raise TypeError(
                    located(
                        f"requires_grad: only floating Tensors have gradients, this one is"
                        f" {self.dtype}; convert it first, as in t.to('float32')"
                    )
                )
            # A leaf that was frozen for a while goes on with the node that older graphs know.
            frozen = getattr(self, "_frozen", None)
            known = frozen is not None and (frozen.shape, frozen.dtype) == (self.shape, self.dtype)
            self._node = frozen if known else leaf(self.shape, self.dtype)
        elif not flag and self._node is not None:
            if not self.is_leaf:
                raise ValueError(
                    f"requires_grad=False on the output of {self._node.where()}; use"
                    " t.detach() for a Tensor cut off from the graph"
                )
            self._frozen, self._node = self._node, None
        return self

    def detach(self) -> Tensor:
        """Return a Tensor with the same values (same memory) that requires no gradient."""
        detached = Tensor._wrap(self._data)
        detached._version = self._versioned()
        return detached

    def numpy(self) -> Array:
        """Return the values as a NumPy array: a view of the memory on the CPU, else a copy."""
        self._versioned().expose()
        return self._on_host()

    def _on_host(self) -> Array:
        try:
            return self.device.to_numpy(self._data)
        except devices.NoValuesError as error:
            raise devices.NoValuesError(located(str(error))) from None

    def item(self) -> float | int | bool:
        """Return the only value as a Python number.

        Raises
        ------
        ValueError
            If there is not exactly one value.
        """
        if self._data.size != 1:
            raise ValueError(f"item(): needs exactly one value, this Tensor has shape {self.shape}")
        return self._on_host().item()  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        """Return the values as nested Python lists."""
        return self._on_host().tolist()

    def copy_(self, source: Any) -> Tensor:
        """Write `source` (Tensor, array or number) into this Tensor's own memory; return it.

        Memory order and dtype stay as they are; the write is not recorded, but counted.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        array = source._data if isinstance(source, Tensor) else source
        if isinstance(array, (list, tuple)):
            array = self.device.array(array, self.dtype)
        if getattr(array, "shape", ()) not in ((), self.shape):
            raise ValueError(f"copy_: shape {array.shape} into a Tensor of shape {self.shape}")
        home = devices.of(array)
        if hasattr(array, "dtype") and home is not self.device:
            array = self.device.array(home.to_numpy(array))
        self._data[...] = array
        self._versioned().wrote()
        return self

    def retain_grad(self) -> None:
        """Keep the gradient of this value in `.grad`, although an op made it.

        Raises
        ------
        ValueError
            If it requires no gradient.
        """
        self._grad_node("retain_grad").retains_grad = True

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook(gradient)` when the gradient of this value is known.

        The hook gets a copy of the whole gradient (all contributions summed). What it returns, if
        not None, takes the gradient's place in the rest of the backward pass.

        Returns
        -------
        RemovableHandle
            Its ``remove()`` takes the hook away.

        Raises
        ------
        ValueError
            If this value requires no gradient.
        """
        node = self._grad_node("register_hook")
        if node.hooks is None:
            node.hooks = {}
        return RemovableHandle(node.hooks, hook)

    def _grad_node(self, asked: str) -> Node:
        if self._node is None:
            raise ValueError(f"{asked}: this Tensor does not require a gradient")
        return self._node

    def backward(
        self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False
    ) -> None:
        """Compute the gradients of this value in all leaves, and add them to their ``.grad``.

        Parameters
        ----------
        gradient : Tensor or array, optional
            The cotangent, of this Tensor's shape. May be left out for a single value: it is 1.
        retain_graph : bool
            Keep what the tape holds, for another backward pass.
        create_graph : bool
            Record the backward pass itself, so that gradients can be differentiated again.

        Raises
        ------
        AutogradError
            If this value requires no gradient, is not a single value and no `gradient` is given,
            the graph was used up by an earlier backward, or a kept value was overwritten.
        """
        from .tape import backward_from

        backward_from(self, gradient, retain_graph or create_graph, create_graph)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Let NumPy read the values, unless that would silently cut the graph."""
        if self.requires_grad and current.get().recording:
            raise TypeError(
                "a NumPy function was called on a Tensor that requires a gradient; it would cut"
                " the graph. Use a minires op, or pass t.detach()"
            )
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __format__(self, spec: str) -> str:
        return format(self.item() if spec else str(self), spec)

    def _refuse_in_place(self, other: Any) -> Any:
        """Let ``x += y`` bind x to a new Tensor, but not where an update in place is meant."""
        if self.is_leaf and self.requires_grad and not current.get().recording:
            raise TypeError(
                "under no_grad, p += v and p -= v would bind the name p to a new Tensor and leave"
                " the parameter as it is; write p.data -= lr * p.grad.data, or p.copy_(values)"
            )
        return NotImplemented

    __iadd__ = __isub__ = __imul__ = __itruediv__ = _refuse_in_place

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(
                f"the truth value of a Tensor of shape {self.shape} is ambiguous; use .all() or"
                " .any()"
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"only integer Tensors can be an index, this one is {self.dtype}")
        return int(self.item())

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a 0-d Tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("a 0-d Tensor cannot be iterated over")
        return (self[index] for index in range(len(self)))

    def __setitem__(self, index: Any, value: Any) -> None:
        """Refuse: writing into a Tensor would change values that the tape may need."""
        raise TypeError(
            "Tensors are not written into; make a new one, as in mr.where(mask, value, x) or"
            " mr.concatenate([...]), or write into t.data outside of a recorded computation"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """Copy a leaf: its values, in the same memory order, and its gradient."""
        if not self.is_leaf:
            raise ValueError(
                "only leaf Tensors can be deep-copied; use t.detach() for a copy cut off from"
                " the graph"
            )
        copied = type(self).__new__(type(self))
        copied._data = self._data.copy(order="K")
        copied._node = None
        copied._version = None
        memo[id(self)] = copied
        if self._node is not None:
            copied._node = leaf(self.shape, self.dtype)
            if self._node.grad is not None:
                copied._node.grad = Tensor(self._node.grad._data.copy(order="K"))
        return copied

    def __repr__(self) -> str:
        if self.device.holds_values:
            values = self._on_host()
            text = devices.cpu.xp.array2string(values, separator=", ", prefix="tensor(")
        else:
            text = f"no values, shape={self.shape}"
        if self.device is not devices.cpu:
            text += f", device={self.device.name!r}"
        if self.dtype not in (devices.float32, devices.int64, devices.bool_):
            text += f", dtype={self.dtype}"
        if self._node is not None:
            text += f", grad_fn={self._node}" if self._node.op else ", requires_grad=True"
        return f"tensor({text})"


blank_tensor = functools.partial(object.__new__, Tensor)
ARRAY_TYPES = devices.ARRAY_TYPES
TENSOR_TYPES.add(Tensor)
