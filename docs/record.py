"""Execute the tutorials and keep their outputs, from which the site is built.

`python -m docs.record` executes those whose code has changed; `--all` all of them; `--into FOLDER`
writes elsewhere. Each starts from a clean kernel, with warnings as errors.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nbformat

from minires.serialize.atomic import atomic_write
from minires.tutorials import Tutorial, all_tutorials
from minires.tutorials.notebooks import carry_over, execute

RECORDED = Path(__file__).resolve().parent / "tutorials"


def record(tutorial: Tutorial, folder: Path, *, again: bool = False) -> str:
    """Write a tutorial's executed notebook into a folder; return what was done.

    Parameters
    ----------
    tutorial : Tutorial
    folder : pathlib.Path
    again : bool
        Execute it although its code is as it was recorded.
    """
    path = folder / f"{tutorial.name}.ipynb"
    notebook = None
    if path.is_file() and not again:
        notebook = carry_over(nbformat.read(path, as_version=4), tutorial.path)
    done = "text brought up to date" if notebook else "executed"
    notebook = notebook or execute(tutorial.path)
    with atomic_write(path, "w") as file:
        nbformat.write(notebook, file)
    return f"{tutorial.name}: {done}, {notebook.metadata['minires']['seconds']:.1f} s of computing"


def main() -> None:
    """Record the tutorials that the command line names, or all."""
    parser = argparse.ArgumentParser(prog="python -m docs.record", description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int, help="which tutorials; by default all")
    parser.add_argument("--all", action="store_true", help="also those whose code is the same")
    parser.add_argument("--into", type=Path, default=RECORDED)
    options = parser.parse_args()
    unknown = set(options.numbers) - {each.number for each in all_tutorials()}
    if unknown:
        parser.error(f"there is no tutorial {min(unknown)}; there are 1 to {len(all_tutorials())}")
    options.into.mkdir(parents=True, exist_ok=True)
    for tutorial in all_tutorials():
        if not options.numbers or tutorial.number in options.numbers:
            sys.stdout.write(record(tutorial, options.into, again=options.all) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
