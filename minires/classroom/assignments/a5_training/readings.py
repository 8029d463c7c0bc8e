"""What students read off their twins, recorded anew from their seed and configuration.

In float64, in which a training is the same on every machine to many digits. (In float32 it is not:
after twenty steps losses differ by percents, for here and there a ReLU falls on its other side.)
"""

import tempfile
from pathlib import Path

from minires.data import get_dataset
from minires.lab import first_batch, traced_step
from minires.models import create
from minires.training.runs import configured, train

_TWINS = {"plain": "cifar_plain", "residual": "cifar_resnet"}
_SHARED_AT = "layer2.1"


def record(seed, configuration):
    """Return what is to be read, by its name, and beside it what may be read by mistake."""
    read = {}
    for twin, family in _TWINS.items():
        read |= _traced(twin, family, seed, **configuration)
        read |= _trained(twin, family, seed, **configuration)
    return read


def _traced(twin, family, seed, depth, width, batch, steps):
    """Trace the first training step, as `minires trace` does."""
    split = get_dataset("digits").normalized()
    options = {"in_channels": split.channels, "num_classes": split.classes, "seed": seed}
    model = create(f"{family}{depth}", width=width, **options).to("float64")
    images, labels = first_batch(split, batch, seed)
    trace = traced_step(model, (images.to("float64"), labels), twin)
    norms = {}
    for step in trace.records.forward:
        block = ".".join(step.module.split(".")[:2])
        norms[block] = trace.records.values[step.output].gradient.norm  # of its last step
    last = f"layer3.{(depth - 2) // 6 - 1}"
    read = {
        f"{twin}_first": norms["layer1.0"],
        f"{twin}_last": norms[last],
        f"{twin}_conv1": norms["conv1"],
        f"{twin}_growth": norms["layer1.0"] / norms[last],
    }
    for fork in trace.forks():
        [shortcut] = [part for part in fork.parts if part.side == "shortcut"]
        read[f"share_{fork.block}"] = shortcut.share
        if fork.block == _SHARED_AT:
            read |= {"shortcut_share": shortcut.share, "cosine": shortcut.cosine}
            read["norms"] = shortcut.norm / fork.norm
    return read


def _trained(twin, family, seed, depth, width, batch, steps):
    """Train for some steps, as `minires train` does."""
    config = configured(
        f"{family}{depth}",
        "digits",
        model_options={"width": width},
        seed=seed,
        steps=steps,
        dtype="float64",
    )
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        result = train(config, Path(place) / twin)
    return {
        f"{twin}_loss": result.test_loss,
        f"{twin}_train_loss": result.train_loss,
        f"{twin}_error": result.test_error,
    }


def mistaken(record):
    """Return what is read where a known mistake is made, by its id and by what is to be read."""
    share = record["shortcut_share"]
    return {
        "G1": {
            "plain_first": record["residual_first"],
            "residual_first": record["plain_first"],
            "plain_growth": record["residual_growth"],
            "residual_growth": record["plain_growth"],
            "plain_loss": record["residual_loss"],
            "residual_loss": record["plain_loss"],
        },
        "G2": {f"{twin}_first": record[f"{twin}_last"] for twin in _TWINS},
        "G3": {f"{twin}_first": record[f"{twin}_conv1"] for twin in _TWINS},
        "G4": {f"{twin}_first": record[f"{twin}_first"] ** 2 for twin in _TWINS},
        "G5": {f"{twin}_growth": 1 / record[f"{twin}_growth"] for twin in _TWINS},
        "G6": {
            f"{twin}_growth": record[f"{twin}_first"] - record[f"{twin}_last"] for twin in _TWINS
        },
        "G7": {"shortcut_share": 1 - share},
        "G8": {"shortcut_share": round(100 * share)},
        "G9": {"shortcut_share": record["norms"]},
        "G10": {"shortcut_share": record["cosine"]},
        "G11": {"shortcut_share": record["share_layer1.1"]},
        "G12": {f"{twin}_loss": record[f"{twin}_train_loss"] for twin in _TWINS},
        "G13": {f"{twin}_loss": record[f"{twin}_error"] for twin in _TWINS},
    }
