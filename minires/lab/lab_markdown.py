"""The results of the lab as a page of documentation: Markdown, and figures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from minires.serialize import atomic_write

from .cost import in_words
from .experiment import Experiment
from .lab_page import (
    drawn,
    evidence_text,
    measured_text,
    notes_on,
    origins_text,
    outcome_text,
    verdict_text,
    where_it_shows,
)
from .results import Result
from .theme import LIGHT


def write_markdown(
    results: Mapping[str, Result],
    known: Mapping[str, Experiment],
    audit: Sequence[Mapping[str, Any]] | None,
    file: Path,
    out_of_date: Mapping[str, str] = MappingProxyType({}),
) -> list[Path]:
    """Write what experiments and audit have shown; figures go into a folder of the file's name.

    Parameters
    ----------
    results : dict of Result
    known : dict of Experiment
    audit : list of dict or None
    file : Path
    out_of_date : dict of str, optional
        By an experiment's name, or an item's code, why its result is.

    Returns
    -------
    list of Path
        The file, and the figures.

    Raises
    ------
    ValueError
        If there are no results, or the file's name has no suffix, by which it is told from the
        folder.
    """
    if not results:
        raise ValueError("write_markdown: there are no results to write")
    if not file.suffix:
        raise ValueError(f"the folder of the figures would be '{file}' itself; name it {file}.md")
    shown = [(known[name], results[name]) for name in known if name in results]
    figures = file.with_suffix("")
    written = [file]
    parts = [_opening(shown, audit), _overview(shown)]
    for experiment, result in shown:
        notes = notes_on(result, out_of_date.get(experiment.name, ""))
        picture = ""
        if result.outcome != "failed":
            png = figures / f"{experiment.name}.png"
            image = drawn(experiment, result, LIGHT, dpi=110)
            if isinstance(image, str):
                notes.append(image)
            else:
                figures.mkdir(parents=True, exist_ok=True)
                with atomic_write(png) as opened:
                    opened.write(image)
                written.append(png)
                picture = f"![{experiment.caption}]({figures.name}/{png.name})\n\n"
                picture += f"{experiment.caption}\n"
        parts.append(_experiment(experiment, result, notes, picture))
    if audit:
        parts.append(_audit(audit, out_of_date))
    with atomic_write(file, "w") as opened:
        opened.write("\n".join(parts))
    return written


def _opening(
    shown: Sequence[tuple[Experiment, Result]], audit: Sequence[Mapping[str, Any]] | None
) -> str:
    first = shown[0][1]
    seconds = sum(result.seconds for _, result in shown)
    return (
        "# What the lab has measured\n\n"
        f"Written by `minires lab report --markdown`, from results at the scale `{first.scale}`"
        f" that took {in_words(seconds)} of computing in all"
        f" ({origins_text(result for _, result in shown)})."
        " [lab.md](lab.md) says how experiments are made and judged; the numbers that the figures"
        " are drawn from stand in `lab/results/`. An effect must show in every seed, of three at"
        " least, or in a 95 % confidence interval; what does not is called inconclusive.\n"
    )


def _overview(shown: Sequence[tuple[Experiment, Result]]) -> str:
    rows = ["| experiment | claim | published | outcome |", "|---|---|---|---|"]
    for experiment, result in shown:
        link = f"[{experiment.name}](#{experiment.name})"
        if result.outcome == "failed":
            rows.append(f"| {link} | {_cell(experiment.title)} | – | failed |")
        rows += [
            f"| {link} | {_cell(claim['claim'])} | {_cell(claim['paper'] or '–')} |"
            f" {_bold(claim['outcome'])} |"
            for claim in result.claims
        ]
    return "\n".join(rows) + "\n"


def _experiment(experiment: Experiment, result: Result, notes: Sequence[str], picture: str) -> str:
    lines = [f"## {experiment.name}\n", f"**{experiment.title}.** {experiment.about}\n"]
    lines += [picture] if picture else []
    lines += [f"> {note}\n" for note in notes]
    for claim in result.claims:
        published = f" Published: {claim['paper']}." if claim["paper"] else ""
        lines.append(
            f"- {_bold(claim['outcome'])}: {claim['claim']} ({claim['source']}).{published}"
            f" Measured: {claim['because']}. Rule: {claim['rule']}."
            f" {where_it_shows(claim, result.scale)}".rstrip()
            + "\n"
        )
    images = result.images
    on = f"{images['name']}, {images['train']} to learn from; " if images else ""
    lines.append(f"({on}{in_words(result.seconds)} of computing, {len(result.seeds)} seeds)\n")
    return "\n".join(lines)


def _audit(records: Sequence[Mapping[str, Any]], out_of_date: Mapping[str, str]) -> str:
    head = (
        "| code | what is said | verdict, source | what is right | outcome | measured, rule |\n"
        + "|---" * 6
    )
    rows = [
        "| "
        + " | ".join(
            _cell(text)
            for text in (
                record["code"],
                record["statement"],
                verdict_text(record),
                record["correct"],
                outcome_text(_bold(record["outcome"]), out_of_date.get(record["code"])),
                evidence_text(record),
            )
        )
        + " |"
        for record in records
    ]
    return "\n".join(
        [
            "## Myths, tested\n",
            "What introductory articles say. The verdict is the audit's, on what is said; the"
            " outcome is that of the check of what is right.\n",
            f"{head}|",
            *rows,
            "",
        ]
    )


def _bold(outcome: str) -> str:
    return f"**{outcome}**" if outcome in ("contradicts", "failed") else outcome


def _cell(text: Any) -> str:
    return measured_text(text).replace("|", "\\|").replace("\n", " ")
