"""Whether records hold together: every number in them refers to something that exists.

A trace from a file may have been edited. What reads it (structure, layout, views) follows numbers
from record to record and must neither fail on them nor go round in circles.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from .causes.operands import NORMS
from .records import Backward, Forward, Records, Spectrum, Stats, Thumbnail, Value
from .thumbnails import SIDE

_DTYPE = re.compile(r"[<>|=]?\w{1,16}")

# See `notes`.
_OF_NORMS = ("gamma_over_sigma", "gamma_zeros", "smallest_std")


class BrokenRecordsError(ValueError):
    """A number in the records refers to nothing, or to the wrong thing; the message says where."""


def check(records: Records) -> None:
    """Check that records hold together.

    Parameters
    ----------
    records : Records

    Raises
    ------
    BrokenRecordsError
        At the first place that does not fit the others.
    """
    for name in ("limit", "arrays", "replay", "left_out"):
        _require_amount(f"budget.{name}", getattr(records.budget, name))
    _numbered("values", records.values)
    _numbered("forward", records.forward)
    _numbered("backward", records.backward)
    for value in records.values:
        _check_value(records, value)
    for step in records.forward:
        _check_forward(records, step)
    for turn in records.backward:
        _check_backward(records, turn)
    _check_steps(records, "forward", len(records.forward))
    _check_steps(records, "backward", len(records.backward))
    _check_owners(records)
    for number, spectrum in enumerate(records.spectra):
        _check_spectrum(records, f"spectra[{number}]", spectrum)


def _require(holds: bool, place: str, what: str) -> None:
    if not holds:
        raise BrokenRecordsError(f"{place}: {what}")


def _refers(place: str, index: int, kind: str, those: list[Any]) -> None:
    _require(0 <= index < len(those), place, f"there is no {kind} {index} (there are {len(those)})")


def _numbered(kind: str, those: Iterable[Any]) -> None:
    for place, each in enumerate(those):
        _require(
            each.index == place, f"{kind}[{place}].index", f"must be {place}, found {each.index}"
        )


def _check_value(records: Records, value: Value) -> None:
    place = f"values[{value.index}]"
    _require(
        all(0 <= length < 2**63 for length in value.shape),
        f"{place}.shape",
        f"no array has the shape {value.shape}",
    )
    _check_dtype(f"{place}.dtype", value)
    _check_stats(f"{place}.stats", value.stats)
    _check_stats(f"{place}.gradient", value.gradient)
    if value.op is None:
        _require(value.kind != "result", f"{place}.op", "a result needs the op that made it")
    else:
        _refers(f"{place}.op", value.op, "forward step", records.forward)
        made = records.forward[value.op].output
        _require(
            made == value.index and value.kind == "result",
            f"{place}.op",
            f"forward step {value.op} made value {made}, not this one",
        )
    if value.detached_from is not None:
        _refers(f"{place}.detached_from", value.detached_from, "value", records.values)
    _check_picture(f"{place}.thumbnail", value.thumbnail)
    _check_picture(f"{place}.gradient_thumbnail", value.gradient_thumbnail)


def _check_dtype(place: str, value: Value) -> None:
    """Check that the dtype is one of numbers, and of fractions where there is a gradient."""
    try:
        # NumPy would also read whole lists of dtypes.
        kind = np.dtype(value.dtype).kind if _DTYPE.fullmatch(value.dtype) else ""
    except TypeError:
        kind = ""
    differentiable = value.requires_grad or value.gradient is not None
    allowed, what = ("fc", "gradients") if differentiable else ("biufc", "numbers")
    _require(kind in tuple(allowed), place, f"{value.dtype[:40]!r} is no dtype of {what}")


def _check_stats(place: str, stats: Stats | None) -> None:
    if stats is None:
        return
    for name in ("norm", "rms", "std"):
        _require_size(f"{place}.{name}", getattr(stats, name))
    for name in ("zeros", "tiny"):
        share = getattr(stats, name)
        _require(0 <= share <= 1, f"{place}.{name}", f"a share is 0 to 1, found {share}")
    for name in ("nans", "infs", "sample"):
        _require_amount(f"{place}.{name}", getattr(stats, name))


def _require_size(place: str, size: float) -> None:
    """Require what a norm may be; of a broken array it is NaN or infinite."""
    _require(size >= 0 or math.isnan(size), place, f"must not be negative, found {size}")


def _require_amount(place: str, amount: int) -> None:
    # Hundreds of digits would break whatever divides them.
    _require(0 <= amount < 2**63, place, f"must be 0 to 2**63 - 1, found {str(amount)[:20]}")


def _check_notes(place: str, step: Forward) -> None:
    """Check what explanations take for granted of the notes on a norm."""
    if step.op not in NORMS or not step.notes:
        return
    for name in _OF_NORMS:
        _require(name in step.notes, place, f"those of a {step.op} have '{name}', too")
        _require_size(f"{place}.{name}", step.notes[name])


def _check_picture(place: str, picture: Thumbnail | None) -> None:
    if picture is None:
        return
    size = f"{picture.rows} x {picture.columns}"
    _require(
        0 <= picture.rows <= SIDE and 0 <= picture.columns <= SIDE,
        place,
        f"a thumbnail has at most {SIDE} x {SIDE} pixels, found {size}",
    )
    try:
        pixels = base64.b64decode(picture.pixels, validate=True)
    except (binascii.Error, ValueError):
        raise BrokenRecordsError(f"{place}.pixels: it is not base64") from None
    _require(
        len(pixels) == picture.rows * picture.columns,
        f"{place}.pixels",
        f"{size} pixels expected, found {len(pixels)}",
    )


def _check_forward(records: Records, step: Forward) -> None:
    place = f"forward[{step.index}]"
    _check_costs(place, step)
    _check_notes(f"{place}.notes", step)
    _refers(f"{place}.output", step.output, "value", records.values)
    _require(
        records.values[step.output].op == step.index,
        f"{place}.output",
        f"value {step.output} was not made by this step",
    )
    for slot, operand in enumerate(step.operands):
        if operand.value is None:
            continue
        here = f"{place}.operands[{slot}].value"
        _refers(here, operand.value, "value", records.values)
        made = records.values[operand.value].op
        # An op that is fed from its own future would let who follows the graph go in circles.
        _require(
            made is None or made < step.index,
            here,
            f"value {operand.value} is made by forward step {made}, which comes no earlier",
        )
    if step.vjp_of is not None:
        _refers(f"{place}.vjp_of", step.vjp_of, "backward step", records.backward)


def _check_backward(records: Records, turn: Backward) -> None:
    place = f"backward[{turn.index}]"
    _check_costs(place, turn)
    _require(turn.run >= 0, f"{place}.run", f"must not be negative, found {turn.run}")
    _refers(f"{place}.value", turn.value, "value", records.values)
    if turn.op is not None:
        _refers(f"{place}.op", turn.op, "forward step", records.forward)
        _require(
            records.values[turn.value].op == turn.op,
            f"{place}.op",
            f"forward step {turn.op} did not make value {turn.value}",
        )
    _check_stats(f"{place}.stats", turn.stats)
    for number, part in enumerate(turn.parts):
        here = f"{place}.parts[{number}]"
        _check_stats(f"{here}.stats", part.stats)
        if part.consumer is not None:
            _refers(f"{here}.consumer", part.consumer, "forward step", records.forward)
            _check_slot(here, part.slot, records.forward[part.consumer], turn.value)
    for number, sent in enumerate(turn.sent):
        here = f"{place}.sent[{number}]"
        _check_stats(f"{here}.stats", sent.stats)
        _refers(f"{here}.value", sent.value, "value", records.values)
        _require(turn.op is not None, here, "nothing is sent without an op")
        if turn.op is not None:
            _check_slot(here, sent.slot, records.forward[turn.op], sent.value)


def _check_costs(place: str, step: Forward | Backward) -> None:
    _require(0 <= step.seconds < math.inf, f"{place}.seconds", f"must not be {step.seconds}")
    _require_amount(f"{place}.flops", step.flops)
    _require_amount(f"{place}.bytes", step.bytes)


def _check_slot(place: str, slot: int, step: Forward, value: int) -> None:
    _require(
        0 <= slot < len(step.operands) and step.operands[slot].value == value,
        f"{place}.slot",
        f"forward step {step.index} does not use value {value} in slot {slot}",
    )


def _check_steps(records: Records, kind: Literal["forward", "backward"], count: int) -> None:
    """Each step of a kind happened once, in the order of their numbers."""
    expected = 0
    for place, (found, index) in enumerate(records.steps):
        if found == kind:
            _require(
                index == expected < count,
                f"steps[{place}]",
                f"{kind} step {index} stands where step {expected} of {count} is expected",
            )
            expected += 1
    _require(expected == count, "steps", f"{count - expected} {kind} steps are missing")


def _check_owners(records: Records) -> None:
    """What a VJP ran came after the backward step whose VJP that is."""
    begun = 0
    for kind, index in records.steps:
        if kind == "backward":
            begun += 1
        elif (owner := records.forward[index].vjp_of) is not None:
            _require(
                owner < begun,
                f"forward[{index}].vjp_of",
                f"backward step {owner} comes only after this step",
            )


def _check_spectrum(records: Records, place: str, spectrum: Spectrum) -> None:
    _refers(f"{place}.value", spectrum.value, "value", records.values)
    counts = [len(each) for each in (spectrum.norms, spectrum.shares, spectrum.paths)]
    _require(
        counts[0] == counts[1] == counts[2] > 0,
        place,
        "{} norms, {} shares and {} paths, where each has one of each".format(*counts),
    )
    _require_size(f"{place}.total", spectrum.total)
    for crossed, norm in enumerate(spectrum.norms):
        _require_size(f"{place}.norms[{crossed}]", norm)
