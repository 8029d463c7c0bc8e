"""In which of the ways that there are a trainer takes its steps."""

from __future__ import annotations

from minires.devices import Device

from .graph import CapturedStep
from .ledger import Ledger
from .steps import CheckedSteps, EagerStep, StepsAhead
from .update import Update

# How many steps a GPU may be ahead of what Python knows: enough that waiting costs nothing, few
# enough that their batches can be kept in case they must be taken again.
LOOK_EVERY = 64


def made_stepper(
    update: Update, device: Device, graph: bool, look_every: int | None
) -> CheckedSteps | StepsAhead:
    """Return what takes steps: with a look at each loss, or running ahead.

    Parameters
    ----------
    update : Update
    device : Device
        Of its model.
    graph, look_every
        As for `Trainer`.

    Raises
    ------
    ValueError
        If a graph would leave out what the update needs Python for.
    """
    window = look_every or (1 if device.synchronous else LOOK_EVERY)
    if graph:
        check_graph("fit", device)
        if update.on_gradients is not None:
            raise ValueError(
                "fit: graph=True, but a callback has on_gradients: a graph that is replayed"
                " does not come by Python between the gradients and the update. Leave"
                " graph=True or the callback away"
            )
        if update.ranks is not None:
            raise ValueError(
                "fit: graph=True, but there are several ranks: a graph that is replayed does"
                " not come by Python, where they exchange gradients. Leave graph=True away"
            )
    checked = CheckedSteps(update, device)
    # What callbacks do to gradients, a step that is taken again would do twice; and ranks look at
    # each loss together.
    looks = update.on_gradients is not None or update.anomaly or update.ranks is not None
    once = window == 1 or looks
    if device.synchronous or (once and not graph):
        return checked
    ledger = Ledger(device, window)
    kind = CapturedStep if graph else EagerStep
    return StepsAhead(kind(update, ledger), checked)


def check_graph(asked: str, device: Device) -> None:
    """Raise ValueError where there is nothing that a graph could save."""
    if device.synchronous:
        raise ValueError(
            f"{asked}: graph=True, but the model is on {device.name!r}. A graph saves the time in"
            " which Python starts a GPU's kernels one by one; the CPU has none to start. Leave"
            " graph=True away, or move the model first: model.to('cuda')"
        )
