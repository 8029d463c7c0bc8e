"""Draw heads.png: what the two heads see in canvases of digits that they were not taught with.

They learn as in their test, for a minute or two. Run it as ``python -m docs.models.heads``.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import minires as mr
from tests.training.test_heads_at_work import made, taught_detector, taught_segmenter

SHOWN = 6
COLOURS = mpl.colormaps["Set3"]  # of the ten classes


def picture() -> Figure:
    """Return the whole picture: canvases, classes of their pixels, objects found."""
    digits = mr.data.digits()
    learned, shown = made(digits.train, 1024, seed=0), made(digits.test, SHOWN, seed=1)
    segmenter = taught_segmenter(learned, seed=0).eval()
    detector = taught_detector(learned, seed=0).eval()
    images = shown.arrays[0]
    with mr.no_grad():
        classes = segmenter(mr.tensor(images)).argmax(1).numpy()
        found = mr.models.find_objects(detector(mr.tensor(images)), threshold=0.3)
    figure = Figure((8.4, 4.4), layout="constrained")
    rows = figure.subplots(3, SHOWN)
    for axes in rows.flat:
        axes.set(xticks=[], yticks=[])
    for row, title in zip(rows, ("canvas", "Segmenter", "CenterPointDetector"), strict=True):
        row[0].set_ylabel(title)
    for column, image, mask, objects in zip(rows.T, images[:, 0], classes, found, strict=True):
        extent = (0, image.shape[1], image.shape[0], 0)
        column[0].imshow(image, "gray", extent=extent)
        column[1].set_facecolor("black")
        ink = np.ma.masked_equal(mask, 0) - 1
        column[1].imshow(ink, COLOURS, vmin=-0.5, vmax=COLOURS.N - 0.5, extent=extent)
        column[2].imshow(image, "gray", extent=extent)
        for place, (x0, y0, x1, y1) in enumerate(objects.boxes):
            label = objects.labels[place]
            colour = COLOURS(label)
            box = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=2)
            column[2].add_patch(box)
            # Nothing suppresses doubles: below each other their labels can be read.
            doubles = int((objects.boxes[:place] == objects.boxes[place]).all(1).sum())
            y = y0 + 2.5 + 5 * doubles
            column[2].text(x1 + 0.5, y, str(label), color=colour, weight="bold")
    return figure


if __name__ == "__main__":
    picture().savefig(Path(__file__).with_name("heads.png"), dpi=110)
