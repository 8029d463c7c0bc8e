"""The experiments, each in a file of its own."""

from __future__ import annotations

from importlib import import_module

from minires.lab.experiment import Experiment

# In the order of the page: first the ten demonstrations, then what goes with them.
_FILES = (
    "degradation",
    "path_lengths",
    "gradient_norms",
    "lesions",
    "six_shortcuts",
    "shattered_gradients",
    "layer_responses",
    "identity_starts",
    "batch_norm",
    "loss_surfaces",
    "shortcut_options",
    "activation_orders",
    "initialisation",
    "stochastic_depth",
    "width_and_depth",
    "local_response_norm",
    "bottleneck_cost",
    "inception_reducers",
    "grouped_convolution",
    "squeeze_excitation",
    "dense_growth",
    "depthwise_separable",
    "forgetting",
)


def experiments() -> dict[str, Experiment]:
    """Return all experiments by their names, in the order of the page."""
    found = [import_module(f"{__name__}.{file}").EXPERIMENT for file in _FILES]
    return {each.name: each for each in found}


def find_experiment(name: str) -> Experiment:
    """Return the experiment of a name, in which ``-`` and ``_`` are the same.

    Raises
    ------
    ValueError
        If there is none; it says what there is.
    """
    known = experiments()
    try:
        return known[name.replace("_", "-")]
    except KeyError:
        raise ValueError(f"unknown experiment {name!r}; there are: {', '.join(known)}") from None
