"""The page about performance: every number in it comes from a result file."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minires.lab.picture import to_png
from minires.serialize.atomic import atomic_write

from .drawing import draw_memory, draw_parts, draw_scaling

NEEDED = ("machine", "training", "breakdown", "inference", "memory", "geometries")
MAIN = {"depth": 20, "batch": 128, "size": 32}


def write_page(result: Mapping[str, Any], path: Path) -> list[Path]:
    """Write the page, and its pictures into a folder of the same name beside it.

    Raises
    ------
    ValueError
        If the result lacks a part that the page is about.
    """
    if missing := [name for name in NEEDED if not result.get(name)]:
        raise ValueError(
            f"the result lacks {', '.join(missing)}; measure it with"
            f" `python -m benchmarks run --only {','.join(missing)}`"
        )
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    main = next(iter(result["training"].values()))
    breakdown = next(iter(result["breakdown"].values()))
    floor = {name: main["jobs"][name]["minimum"] for name in ("products", "traffic")}
    pictures = {
        "scaling": draw_scaling(_panels(result["training"].values(), main["threads"])),
        "step": draw_parts(breakdown["parts"], floor),
        "memory": draw_memory(result["memory"]),
    }
    written = []
    for name, picture in pictures.items():
        written.append(folder / f"{name}.png")
        with atomic_write(written[-1]) as file:
            file.write(to_png(picture))
    chapters = (
        _head(result, main),
        _step(main),
        _scaling(result["training"], folder.name),
        _parts(breakdown, folder.name),
        _inference(result["inference"]),
        _memory(result["memory"], folder.name),
        _geometries(result["geometries"]),
        _peers(result.get("peers", {})),
        _again(),
    )
    with atomic_write(path, "w") as file:
        file.write(filled("\n\n".join(chapter for chapter in chapters if chapter)) + "\n")
    return [path, *written]


def filled(page: str) -> str:
    """Break the paragraphs of prose anew: what was put into them has a length of its own."""
    blocks = page.split("\n\n")
    prose = [not block.startswith(("#", "|", "!", "```")) for block in blocks]
    filled = [
        textwrap.fill(block, 100, break_on_hyphens=False, break_long_words=False) if wrap else block
        for block, wrap in zip(blocks, prose, strict=True)
    ]
    return "\n\n".join(filled)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, all columns but the first to the right."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_ms(value: float) -> str:
    """Return milliseconds, with three digits where there are so many."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def with_range(ratio: Mapping[str, float]) -> str:
    """Return median and range."""
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}–{ratio['high']:.2f}]"


def _head(result: Mapping[str, Any], main: Mapping[str, Any]) -> str:
    where, machine = result["environment"], result["machine"]
    rates = table(
        ["this machine", *(f"{n} thread{'s' * (n != '1')}" for n in machine)],
        [
            ["sgemm, GF/s", *(f"{each['sgemm_gflops']:.0f}" for each in machine.values())],
            ["memory copy, GB/s", *(f"{each['copy_gbps']:.1f}" for each in machine.values())],
        ],
    )
    return f"""# Performance

How long minires takes, beside PyTorch and beside what the machine allows. This page is written by
`python -m benchmarks page`; no number in it is typed by hand.

Measured on {result["date"]}: {where["processor"]}, {where["processors"]} processors,
{where["system"]}; minires {where["minires"]} with {where["kernels"]} kernels on {where["threads"]}
threads, NumPy {where["numpy"]} ({where["blas"]}), PyTorch {where.get("torch", "none")} in eager
mode on the CPU, Python {where["python"]}.

{rates}

All engines run in one process and take turns, round by round ({main["rounds"]} in the main case,
fewer in long ones, after two that are not measured), so that a busy moment of the machine meets
them alike. Times are the minimum over the rounds unless said otherwise; a ratio is the median of
the rounds' ratios, with their range in brackets. Above 1, minires takes longer.

The **floor** is what the matrix products of a step take alone, in im2col's shapes, with all
operands in the cache, on as many threads, plus ten passes over all convolution outputs at the
speed of a copy; both are measured in the same rounds. It is a mark to aim at for a framework that
builds on NumPy's matrix products, not a law of nature."""


def _step(main: Mapping[str, Any]) -> str:
    ratios = main["ratios"]["minires"]
    rows = [
        [
            name,
            *(in_ms(main["jobs"][name][key]) for key in ("minimum", "median", "cpu_minimum")),
            with_range(ratios[name]) if name in ratios else "",
            f"{main['losses'][name][-1]:.6f}" if name in main["losses"] else "",
        ]
        for name in ("minires", "torch NCHW", "torch channels_last", "floor")
    ]
    headings = [
        "ms",
        "minimum",
        "median",
        "CPU time",
        "minires takes ... times as long",
        "last loss",
    ]
    agreement, steps = main["agreement"], len(main["losses"]["minires"])
    return f"""## A training step

ResNet-{main["depth"]} (option A) on {main["batch"]} images of 3x{main["size"]}x{main["size"]} in
float32: zero the gradients, forward, cross-entropy, backward, SGD with momentum. The engines start
from equal weights and see equal data. Over {steps} steps, warm-up
included, their losses differ by at most {agreement["largest_difference"]:.1e} (relative to the
loss, or to 1 where it is smaller); more than {agreement["tolerance"]} would
have stopped the benchmark.

{table(headings, rows)}"""


def _panels(
    cases: Iterable[Mapping[str, Any]], threads: int
) -> list[tuple[str, str, bool, dict[Any, Any]]]:
    """Sort the cases into the quantities that they vary; the main case is in each."""
    found: dict[str, dict[Any, Any]] = {"depth": {}, "batch": {}, "size": {}, "threads": {}}
    usual = {**MAIN, "threads": threads}
    for case in cases:
        varied = [key for key in usual if case[key] != usual[key]]
        # A larger image comes in a smaller batch.
        home = "size" if "size" in varied else varied[0] if varied else None
        for key in [home] if home else found:
            found[key][case[key]] = case
    titles = {
        "depth": ("Depth", "layers", False),
        "batch": ("Batch size", "images per step", True),
        "size": ("Image size", "pixels on a side", True),
        "threads": ("Threads", "threads", False),
    }
    return [
        (*titles[key], dict(sorted(group.items())))
        for key, group in found.items()
        if len(group) > 1
    ]


def _scaling(training: Mapping[str, Any], folder: str) -> str:
    rows = [
        [
            title,
            *(in_ms(case["jobs"][name]["minimum"]) for name in ("minires", "floor")),
            *(
                with_range(case["ratios"]["minires"][name])
                for name in ("torch NCHW", "torch channels_last", "floor")
            ),
        ]
        for title, case in training.items()
    ]
    headings = ["", "minires, ms", "floor, ms", "to torch NCHW", "to channels_last", "to the floor"]
    return f"""## Depth, batch, image size, threads

![Minimum times against depth, batch size, image size and threads]({folder}/scaling.png)

{table(headings, rows)}"""


def _parts(breakdown: Mapping[str, Any], folder: str) -> str:
    total = sum(breakdown["ops"].values())
    rows = [
        [f"`{name}`", in_ms(milliseconds), f"{milliseconds / total:.1%}"]
        for name, milliseconds in breakdown["ops"].items()
        if milliseconds > 0.001 * total
    ]
    return f"""## Where a step's time goes

![The parts of a step, and of its floor, in milliseconds]({folder}/step.png)

The picture's parts are timed by the device's kernels; batch norm is there with the addition and
the ReLU that follow it, and "other" is all that is no kernel. In the table the time from one op to
the next is credited to the one that just ran. Both are of the quickest of {breakdown["steps"]}
steps; ops under a thousandth are left out.

{table(["", "ms", "share"], rows)}"""


def _inference(inference: Mapping[str, Any]) -> str:
    rows = []
    for title, entry in inference.items():
        for name, ratios in entry["ratios"].items():
            rows.append(
                [
                    f"{title}, {name}",
                    in_ms(entry["jobs"][name]["minimum"]),
                    *(f"{in_ms(entry['jobs'][to]['minimum'])}" for to in ratios),
                    *(with_range(ratio) for ratio in ratios.values()),
                ]
            )
    layouts = list(next(iter(next(iter(inference.values()))["ratios"].values())))
    headings = ["", "ms", *(f"{name}, ms" for name in layouts), *(f"to {name}" for name in layouts)]
    return f"""## Inference

In evaluation mode, without recording; "folded" has each batch normalisation folded into the
convolution before it. PyTorch runs the network as it is.

{table(headings, rows)}"""


def _memory(memory: Mapping[str, Any], folder: str) -> str:
    rows = [
        [
            title,
            *(f"{peak['minimum']:.0f}" for peak in entry["jobs"].values()),
            *(f"{ratio['median']:.2f}" for ratio in entry["ratios"]["minires"].values()),
        ]
        for title, entry in memory.items()
    ]
    first = next(iter(memory.values()))
    headings = [
        "",
        *(f"{name}, MB" for name in first["jobs"]),
        *(f"to {name}" for name in first["ratios"]["minires"]),
    ]
    return f"""## Memory

The peak of a fresh process that takes a few training steps, libraries and all.

![Peak memory of each engine]({folder}/memory.png)

{table(headings, rows)}"""


def _geometries(geometries: Mapping[str, Any]) -> str:
    rows, ratios = [], {}
    for title, entry in geometries.items():
        shape, row = entry["geometry"], [title]
        row.append(f"{shape['channels']}→{shape['filters']}, {shape['size'][0]}x{shape['size'][1]}")
        for way in ("forward", "with backward"):
            measured = entry[way]
            ratio = measured["ratios"]["minires"]["torch"]
            ratios[f"{title}, {way}"] = ratio["median"]
            row += [in_ms(measured["jobs"][name]["minimum"]) for name in ("minires", "torch")]
            row.append(with_range(ratio))
        rows.append(row)
    worst = max(ratios, key=lambda name: ratios[name])
    headings = ["", "C→O, HxW", "forward, ms", "torch, ms", "ratio"]
    headings += ["with backward, ms", "torch, ms", "ratio"]
    return f"""## Convolutions of many kinds

Forward alone, and forward with both gradients; minires' images are channels-last, as its layers
hand them on, PyTorch's are NCHW. The worst ratio is {ratios[worst]:.2f}: {worst}.

{table(headings, rows)}"""


def _peers(peers: Mapping[str, Any]) -> str:
    """Return the table of other frameworks, if they were measured."""
    measured = {
        name: peer
        for name, peer in peers.get("peers", {}).items()
        if peer.get("status") == "measured"
    }
    if not measured:
        return ""
    rows = [
        ["minires", in_ms(peers["minires"]["minimum"]), in_ms(peers["minires"]["median"]), "", ""]
    ]
    for name, peer in measured.items():
        ratio = peer["ratio"]
        spread = f"{ratio['median']:.1f} [{ratio['minimum']:.1f}–{ratio['maximum']:.1f}]"
        agree = "yes" if peer["losses_agree"] else "no"
        rows.append([name, in_ms(peer["minimum"]), in_ms(peer["median"]), spread, agree])
    headings = ["ms", "minimum", "median", "times as long as minires", "same losses"]
    return f"""## Other frameworks

The same step in frameworks that are built on NumPy, or nearly; each in a process of its own, all
taking turns. A turn is a step that is not timed, and one that is; minires had
{peers["minires"]["timed_steps"]} turns, the slowest peers fewer.

{table(headings, rows)}"""


def _again() -> str:
    return """## Measure it again

```sh
python -m pip install -e '.[bench]'
python -m benchmarks run                          # about ten minutes, on a machine left alone
python -m benchmarks compare A.json B.json        # two result files side by side
python -m benchmarks page benchmarks/results/<machine>-<date>.json
```

`python -m benchmarks run --only architectures` and `python -m benchmarks table` measure forward and
backward of networks of every family.

`minires bench` needs no PyTorch and measures a step beside its floor in less than a minute."""
