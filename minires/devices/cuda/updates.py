"""SGD and Adam on a GPU, many parameters in one launch.

What changes from step to step (the learning rate, Adam's count of steps) the kernels read from the
GPU's memory, so that a captured graph does not freeze it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..updates import UpdateKernels
from .adam import ADAM, ADAM_COUNT, ADAM_MANY
from .launching import TOO_LARGE, Array, Launching
from .sgd import SGD
from .update_tables import is_dense, steps_of, tables


class CudaUpdates(Launching, UpdateKernels):
    """What optimisers do, on a GPU."""

    def can_fuse(self, data: Array, grad: Array, *remembered: Array) -> bool:
        """Tell whether the fused kernels can update a parameter: they walk through bare memory.

        Parameters
        ----------
        data, grad : array
            The parameter and its gradient.
        *remembered : array
            Of the same shape: what the optimiser keeps of the parameter.
        """
        dtype, order = data.dtype, steps_of(data)
        return (
            dtype.kind == "f"
            and dtype == grad.dtype
            and data.size < TOO_LARGE
            and is_dense(data)
            and all(
                isinstance(x, self.xp.ndarray) and x.dtype == dtype and steps_of(x) == order
                for x in remembered
            )
        )

    def fused_sgd(
        self,
        params: Sequence[Array],
        grads: Sequence[Array],
        velocities: Sequence[Array],
        fresh: bool,
        rate: Array,
        momentum: float,
        dampening: float,
        weight_decay: float,
        nesterov: bool,
    ) -> None:
        """Do what `minires.optim.SGD` does, to all parameters at once.

        Parameters
        ----------
        params : sequence of array
            Without gaps in their memory (`can_fuse`), of one dtype; written in place.
        grads : sequence of array
            Of the same shapes and dtype.
        velocities : sequence of array
            Of the same shapes, dtype and memory order; written in place. Empty without momentum.
        fresh : bool
            Whether this is the velocities' first step, so that they hold nothing yet.
        rate : array, (1,), float64
            The learning rate.
        momentum, dampening, weight_decay : float
        nesterov : bool
        """
        dtype = params[0].dtype
        numbers = momentum, 1 - dampening, weight_decay, nesterov, fresh
        columns = {"p": params, "g": grads, "v": velocities}
        for table, blocks, _alive in tables(self.xp, SGD, columns):
            self.launch(SGD, blocks, table, rate, *numbers, T=dtype)

    def fused_adam(
        self,
        params: Sequence[Array],
        grads: Sequence[Array],
        means: Sequence[Array],
        squares: Sequence[Array],
        steps: Sequence[Array],
        rate: Array,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        decoupled: bool,
    ) -> None:
        """Do what `minires.optim.Adam` and `AdamW` do, to all parameters at once.

        Parameters
        ----------
        params : sequence of array
            Without gaps in their memory (`can_fuse`), of one dtype; written in place.
        grads : sequence of array
            Of the same shapes and dtype.
        means, squares : sequence of array
            The running averages: of the same shapes, dtype and memory order; written in place.
        steps : sequence of array, (), int32
            How many steps each parameter has taken; counted up.
        rate : array, (1,), float64
            The learning rate.
        betas : (float, float)
        eps, weight_decay : float
        decoupled : bool
            Whether the weight decay is AdamW's.
        """
        dtype = params[0].dtype
        beta1, beta2 = betas
        numbers = 1 - beta1, beta2, 1 - beta2, eps, weight_decay, decoupled
        columns = {"p": params, "g": grads, "m": means, "v": squares, "step": steps}
        for table, blocks, _alive in tables(self.xp, ADAM, columns):
            shares = self.xp.empty(2 * ADAM_MANY, np.float64)
            self.launch(ADAM_COUNT, 1, table, rate, shares, beta1, beta2, T=dtype)
            self.launch(ADAM, blocks, table, rate, shares, *numbers, T=dtype)
