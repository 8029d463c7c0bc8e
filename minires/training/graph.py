"""A whole training step as one CUDA graph: forward, backward and update, replayed."""

from __future__ import annotations

from typing import Any

from minires.autograd import Tensor
from minires.autograd.context import current

from .ledger import Ledger
from .steps import EagerStep, written_by
from .update import Update


class CapturedStep:
    """Takes training steps: the first ones kernel by kernel, then by replaying one of them.

    A replay repeats the kernels of the captured step on the same memory. The batch is copied into
    buffers that stay where they are; learning rates are read from the device; running statistics,
    the optimiser's state and every ``.grad`` are written where they lie (and a ``.grad`` that the
    optimiser does not reset holds one step's gradient instead of the sum of all).

    What else Python decides is fixed when the step is captured. The step is captured anew, after
    `warm_up` more eager ones, when the model or the optimiser is no longer what it was then: other
    parameters or buffers (by ``model.to``, or an assignment to ``.data``), another state or group
    of the optimiser (by its ``load_state_dict``), another mode of a module, another option than the
    learning rate, a parameter that was frozen. A batch of another size is trained on eagerly, as
    the last one of an epoch often is, and so is every batch while somebody looks on: an
    `EngineHook`, a hook of a parameter, `expand`.
    Not noticed are attributes of modules, such as a momentum, and what a loss function refers to:
    call `forget` after changing these.

    Parameters
    ----------
    update : Update
        What a step consists of; its model must be on a GPU.
    ledger : Ledger
        Notes each step's loss and mistakes.
    warm_up : int
        How many steps of the same kind are taken eagerly first. They are steps like any other, and
        they make what a capture cannot: compiled kernels, and the optimiser's state.
    """

    def __init__(self, update: Update, ledger: Ledger, warm_up: int = 2) -> None:
        self.eager = EagerStep(update, ledger)
        self.ledger = ledger
        self.warm_up = warm_up
        self._graph: _Recording | None = None
        # Under which circumstances the last steps were eager, and how many.
        self._met: _Circumstances | None = None
        self._times = 0

    @property
    def is_captured(self) -> bool:
        """Whether there is a graph."""
        return self._graph is not None

    def forget(self) -> None:
        """Throw the graph away, because something changed that it cannot notice."""
        self._graph, self._met = None, None

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """Train on one batch, which is on the model's device.

        Raises
        ------
        CaptureError
            If the step does what cannot be captured, such as a look at a value; it says where.
        """
        self.ledger.refuse_if_full()
        now = _Circumstances(self.eager, images, labels)
        if now.is_looked_on:
            self.eager(images, labels)
            return
        if self._graph is None or self._graph.circumstances != now:
            self._times = self._times + 1 if self._met == now else 1
            if self._times <= self.warm_up:
                self.eager(images, labels)
                # Looked at again, because the optimiser's first step makes its state.
                self._met = _Circumstances(self.eager, images, labels)
                return
            self._graph = None  # two graphs would hold memory for two steps
            self._graph = _Recording(self.eager, now, images, labels)
        self._met = None  # so that only steps in a row count as warm-up
        self._graph.replay(images, labels)
        self.eager.update.average()
        self.ledger.count(len(labels.data))


class _Circumstances:
    """What a graph takes for granted: where arrays are, and the numbers that Python knows.

    Attributes
    ----------
    is_looked_on : bool
        Whether Python code wants to see each step of the computation.
    """

    def __init__(self, step: EagerStep, images: Tensor, labels: Tensor) -> None:
        model, optimizer = step.update.model, step.update.optimizer
        tensors = written_by(model, optimizer)
        groups, state = optimizer.param_groups, optimizer.state
        context = current.get()
        hooked = any(tensor._node is not None and tensor._node.hooks for tensor in tensors)
        self.is_looked_on = bool(context.hooks or context.expanded or hooked)
        arrays = [tensor._data for tensor in tensors]
        for remembered in state.values():
            arrays += [value for value in remembered.values() if hasattr(value, "dtype")]
        # They are kept: a graph needs the arrays, and nothing else may get their identity.
        self._kept = [*arrays, *groups, state]
        self._facts = (
            (images.shape, images.dtype, labels.shape, labels.dtype),
            list(map(id, self._kept)),
            [tensor.requires_grad for tensor in tensors],
            [module.training for module in model.modules()],
            [
                {**group, "params": list(map(id, group["params"])), "lr": 0, "initial_lr": 0}
                for group in groups
            ],
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Circumstances) and self._facts == other._facts

    __hash__ = None  # type: ignore[assignment]


class _Recording:
    """One captured step, with all that its kernels read and write."""

    def __init__(
        self, step: EagerStep, circumstances: _Circumstances, images: Tensor, labels: Tensor
    ) -> None:
        device: Any = images.device
        self.circumstances = circumstances
        self._optimizer = step.update.optimizer
        self._images, self._labels = (
            Tensor(batch.data.copy(order="K")) for batch in (images, labels)
        )
        self._written = written_by(step.update.model, step.update.optimizer)
        # Gradients of eager steps go before the capture, so that the graph has its own.
        for tensor in self._written:
            tensor.grad = None
        self._optimizer.refresh()
        with device.capture() as self._graph:
            step.launch(self._images, self._labels)
        self._gradients = [(tensor, tensor.grad) for tensor in self._written]

    def replay(self, images: Tensor, labels: Tensor) -> None:
        self._images.data[...] = images.data
        self._labels.data[...] = labels.data
        self._optimizer.refresh()
        self._graph.replay()
        for tensor, gradient in self._gradients:
            if tensor._node is not None:
                tensor._node.grad = gradient
        for tensor in self._written:
            tensor._versioned().wrote()
