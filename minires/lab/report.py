"""The report of a comparison: one HTML file that needs no network and no script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from minires.pages import (
    Cell,
    definitions,
    details,
    escape,
    page,
    percent,
    picture,
    short,
    table,
)

from .comparison import Comparison
from .drawing import epoch_means
from .learning import GradientSize
from .metrics import weights_file
from .picture import by_depth, curves_panel, errors_panel, gradients_panel, to_png
from .run import Run
from .theme import DARK, LIGHT, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = ".plain { color: var(--orange); }\n.residual { color: var(--blue); }\n"


def render_report(comparison: Comparison) -> str:
    """Write the report of a comparison.

    Parameters
    ----------
    comparison : Comparison
        With at least one finished run.

    Returns
    -------
    str
        A whole HTML page, with its pictures inside.
    """
    groups = by_depth(comparison.runs)
    sections = [
        _opening(comparison),
        _results(comparison),
        _curves(comparison, groups),
        _gradients(groups),
        _method(comparison),
    ]
    return page("Plain and residual twins, compared", sections, style=_STYLE)


def _opening(comparison: Comparison) -> str:
    settings, verdict = comparison.settings, comparison.verdict
    details = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in verdict.details)
    notes = [
        f"{run.name} diverged, and was stopped. {run.diverged}"
        for run in comparison.runs
        if run.diverged
    ]
    if comparison.missing:
        names = ", ".join(f"{twin}-{depth}" for depth, twin in comparison.missing)
        notes.append(f"This comparison was stopped early. Not trained to the end: {names}.")
    return (
        "<header>\n<h1>Plain and residual twins, compared</h1>\n"
        '<p class="lede">Is a deeper network harder to train? Each depth was trained twice on'
        f" {escape(settings.dataset)}: once plain, and once with a shortcut around every two"
        " layers. The twins have the same layers and the same number of parameters, start from"
        " the same numbers and see the same images in the same order.</p>\n</header>\n"
        f'<section class="verdict" aria-labelledby="verdict">\n<h2 id="verdict">'
        f"{escape(verdict.headline)}</h2>\n<ul>\n{details}\n</ul>\n</section>\n"
        + "\n".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    )


def _results(comparison: Comparison) -> str:
    runs = comparison.runs
    rows = [_result_row(run) for run in runs]
    ends = [i for i, run in enumerate(runs) if i + 1 == len(runs) or runs[i + 1].depth != run.depth]
    head = [
        "network",
        "training error",
        "test error",
        "parameters",
        "gradient, first layer",
        "gradient, last layer",
        "images/s",
        "seconds",
    ]
    caption = (
        "Results. Gradient: norm of the layer's gradient at the first step, and over the last epoch"
        " (median of its steps)."
    )
    alt = "Bar chart of the training error after the last epoch. " + _list_errors(runs)
    image = _both(partial(errors_panel, comparison), alt)
    return (
        '<section aria-labelledby="results">\n<h2 id="results">How well did each one learn its'
        " training images?</h2>\n"
        f'<div class="card">{table(caption, head, rows, ruled_after=ends)}</div>\n'
        f'<figure class="card split"><div><h3>Training error after the last epoch</h3>{image}</div>'
        "<figcaption>"
        "What you see: the share of its own training images that each trained network gets wrong,"
        " plain and residual side by side. If depth itself were harmless, the bars would not grow"
        " to the right: a deeper network could copy the shallower one and let its other layers do"
        " nothing. The numbers are in the table above.</figcaption></figure>\n</section>"
    )


def _result_row(run: Run) -> list[str | Cell]:
    trained = percent(run.final_train_error)
    if run.diverged:
        trained = f"diverged at step {run.diverged_at}"
    return [
        Cell(run.name, run.twin),
        trained,
        "–" if run.diverged else percent(run.final_test_error),
        f"{run.parameters:,}",
        _from_to(run.gradient_size(0)),
        _from_to(run.gradient_size(-1)),
        f"{run.images_per_second:,.0f}",
        f"{run.seconds:.1f}",
    ]


def _from_to(size: GradientSize | None) -> str:
    return "–" if size is None else f"{short(size.first_step)} → {short(size.last_epoch)}"


def _curves(comparison: Comparison, groups: dict[int, list[Run]]) -> str:
    milestones = comparison.settings.milestones
    figures = []
    for depth, runs in groups.items():
        alt = (
            f"Training error and loss by epoch with {depth} layers. {_list_errors(runs)} The table"
            " below has the values of every epoch."
        )
        image = _both(partial(curves_panel, runs, milestones), alt)
        figures.append(
            f'<figure class="card"><h3>{depth} layers</h3>{image}'
            f"{details('The values of every epoch', _epoch_table(depth, runs))}</figure>"
        )
    return (
        '<section aria-labelledby="curves">\n<h2 id="curves">How did they get there?</h2>\n'
        "<p>What you see: above, the training error after every epoch. Below, the loss, thin for"
        " every step and thick for the mean of an epoch; its scale is logarithmic, so that equal"
        " distances are equal ratios. At a vertical line the learning rate falls to a tenth. Look"
        " for the depth at which the two lines part.</p>\n"
        f'<div class="grid">\n{"".join(figures)}\n</div>\n</section>'
    )


def _epoch_table(depth: int, runs: Sequence[Run]) -> str:
    head = ["epoch"]
    columns: list[list[str]] = []
    measured: dict[str, Callable[[Run], list[str]]] = {
        "training error": lambda run: [percent(error) for error in run.train_error],
        "test error": lambda run: [percent(error) for error in run.test_error],
        "loss": lambda run: [short(loss) for loss in epoch_means(run)],
    }
    for name, values_of in measured.items():
        for run in runs:
            head.append(f"{run.twin}: {name}")
            columns.append(values_of(run))
    head.append("learning rate")
    rates = max((run.learning_rate for run in runs), key=len)
    columns.append([f"{rate:.3g}" for rate in rates])
    rows = [
        [str(epoch + 1), *(column[epoch] if epoch < len(column) else "–" for column in columns)]
        for epoch in range(len(rates))
    ]
    return table(f"{depth} layers, epoch by epoch", head, rows)


def _gradients(groups: dict[int, list[Run]]) -> str:
    figures = []
    for depth, runs in groups.items():
        sentences = [_gradient_sentence(run) for run in runs if run.gradient_norms]
        alt = (
            f"Heat maps of the gradient norm of every layer at every step, {depth} layers."
            f" {' '.join(sentences)} The table below has the values of every layer."
        )
        image = _both(partial(gradients_panel, runs), alt)
        figures.append(
            f'<figure class="card"><h3>{depth} layers</h3>{image}'
            f"<figcaption>{'<br/>'.join(map(escape, sentences))}<br/>{_trace_link(depth)}"
            "</figcaption>"
            f"{details('The values of every layer', _layer_table(depth, runs))}</figure>"
        )
    return (
        '<section aria-labelledby="gradients">\n<h2 id="gradients">Did the gradient reach every'
        " layer?</h2>\n"
        "<p>What you see: each row is a layer, the input's on top; each column is a step; the"
        " colour is the size of the gradient that the layer's weights got. Twins share one colour"
        " scale, depths do not. Steps are drawn on a logarithmic scale, because much happens in the"
        " first ten. A gradient that vanishes on its way back would leave the upper rows dark, one"
        " that explodes would make them bright. A network that has learned its images gets small"
        " gradients everywhere, so a dark right edge is no fault.</p>\n"
        f'<div class="grid">\n{"".join(figures)}\n</div>\n</section>'
    )


def trace_file(depth: int) -> str:
    """Return the name of the page that traces twins, inside the comparison's folder."""
    return f"traces/{depth}.html"


def _trace_link(depth: int) -> str:
    return (
        f'<a href="{trace_file(depth)}">See the gradient travel, shortcut by shortcut</a>: the'
        " first training step of both twins, op by op. There they differ in nothing but the"
        " shortcuts."
    )


def _gradient_sentence(run: Run) -> str:
    first, last = run.gradient_size(0), run.gradient_size(-1)
    assert first is not None
    assert last is not None
    return (
        f"{run.name}: at step 1 the gradient norm of {first.layer} is {short(first.first_step)},"
        f" that of {last.layer} {short(last.first_step)}; in the last epoch"
        f" {short(first.last_epoch)} and {short(last.last_epoch)}."
    )


def _layer_table(depth: int, runs: Sequence[Run]) -> str:
    head = ["layer"]
    for run in runs:
        head += [f"{run.twin}: step 1", f"{run.twin}: last epoch"]
    rows = []
    for number, layer in enumerate(runs[0].layers):
        row = [layer]
        for run in runs:
            size = run.gradient_size(number)
            row += ["–", "–"] if size is None else [short(size.first_step), short(size.last_epoch)]
        rows.append(row)
    return table(f"{depth} layers: gradient norms; last epoch: median over its steps", head, rows)


def _method(comparison: Comparison) -> str:
    settings, where = comparison.settings, comparison.environment
    falls = [epoch for epoch in settings.milestones if epoch < settings.epochs]
    schedule = f"{settings.learning_rate:g}"
    if falls:
        schedule += ", a tenth after epoch " + " and again after epoch ".join(map(str, falls))
    machine = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in where.items())
    recipe = [
        ("networks", f"He et al. 2015, for small images; width {settings.width}, 3x3 convolutions,"
         " BatchNorm, ReLU"),
        ("shortcuts", "option A: identity, padded with zeros where the shape changes; no"
         " parameters"),
        ("data set", comparison.dataset),
        ("optimiser", f"SGD, momentum {settings.momentum:g}, weight decay"
         f" {settings.weight_decay:g}, batches of {settings.batch_size}"),
        ("learning rate", schedule),
        ("epochs", settings.epochs),
        ("seed", f"{settings.seed}, for the weights and the order of the images"),
        ("device", settings.device),
        ("training error", "of the network as it is after an epoch, on the whole training set, in"
         " evaluation mode: BatchNorm uses its running statistics. The same way on the test set"
         " for the test error"),
        ("gradient norm", "Euclidean norm of the loss's gradient in the weights of a layer, weight"
         " decay not included"),
        ("images/s", "while training; measuring errors is not counted"),
        ("begun", comparison.created.strftime("%Y-%m-%d %H:%M UTC")),
        ("machine", machine),
    ]  # fmt: skip
    weights = ", ".join(
        f'<a href="{escape(weights_file(run))}">{escape(run.name)}</a>' for run in comparison.runs
    )
    return (
        '<section aria-labelledby="method">\n<h2 id="method">How this was measured</h2>\n'
        f'<div class="card">{definitions(recipe)}</div>\n'
        '<p class="note">Everything measured is in <a href="metrics.json">metrics.json</a>, the'
        ' whole comparison as one picture in <a href="compare.png">compare.png</a>, and the trained'
        f" weights here: {weights}.</p>\n"
        '<p class="note">To go on with one of them:'
        f" <code>{escape(_loading(comparison))}</code></p>"
        "\n</section>"
    )


def _loading(comparison: Comparison) -> str:
    """Say in Python how the deepest residual network is loaded."""
    run, split = comparison.runs[-1], comparison.split
    make = "cifar_plain" if run.twin == "plain" else "cifar_resnet"
    return (
        f"model = mr.models.{make}({run.depth}, width={comparison.settings.width},"
        f" in_channels={split.channels}, num_classes={split.classes});"
        f' model.load_state_dict(mr.load("{weights_file(run)}"))'
    )


def _list_errors(runs: Sequence[Run]) -> str:
    return ", ".join(f"{run.name}: {percent(run.final_train_error)}" for run in runs) + "."


def _both(draw: Callable[[Theme], Figure], alt: str) -> str:
    return picture(to_png(draw(LIGHT)), to_png(draw(DARK)), alt)
