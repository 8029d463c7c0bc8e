"""The page of the lab: every claim, the paper's number, the one measured here, the outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from minires.pages import Cell, definitions, details, escape, page, picture, short, table

from .cost import in_words
from .experiment import SCALES, Experiment
from .picture import to_png
from .results import Judged, Result
from .theme import DARK, LIGHT, Theme

_STYLE = """
.supports { color: var(--green); }
.contradicts, .failed { color: var(--red); font-weight: 600; }
.inconclusive, .cited { color: var(--soft); }
.verdict.supports, .verdict.contradicts, .verdict.failed { color: inherit; font-weight: inherit; }
.verdict.supports { border-left-color: var(--green); }
.verdict.contradicts, .verdict.failed { border-left-color: var(--red); }
.verdict.inconclusive { border-left-color: var(--soft); }
:root { --red: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --red: #ff8a80; } }
.wordy td, .wordy th { white-space: normal; text-align: left; vertical-align: top; }
.wordy td, .wordy th { min-width: 7rem; }
.wordy td:nth-child(2), .wordy td:nth-child(4), .wordy td:nth-child(5) { min-width: 14rem; }
.wordy th:first-child { min-width: 0; }
.wordy td:last-child { white-space: nowrap; }
.experiment { margin-top: 2.75rem; }
.experiment h2 { margin-top: 0; }
.experiment picture { display: block; overflow-x: auto; }
.experiment img { max-width: none; width: auto; min-width: 36rem; max-height: none; }
.claims { list-style: none; padding: 0; margin: 0.8rem 0 0; }
.claims > li { border-left: 4px solid var(--line); padding: 0.1rem 0 0.1rem 0.9rem; }
.claims > li { margin: 0 0 1.1rem; }
.claims > li.supports { border-color: var(--green); }
.claims > li.contradicts { border-color: var(--red); }
.claims > li > *, .claims dd { color: var(--ink); font-weight: normal; }
.claims p.outcome { margin: 0 0 0.3rem; font-weight: 600; }
"""
# Words, and a sign: colour is never the only cue.
_SIGNS = {
    "supports": "✓ supports",
    "contradicts": "✗ contradicts",
    "inconclusive": "~ inconclusive",
    "failed": "! failed",
    "cited": "cited",
}


def render_lab(
    results: Mapping[str, Result],
    known: Mapping[str, Experiment],
    audit: Sequence[Mapping[str, Any]] | None = None,
    out_of_date: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Write the page of a laboratory's results; figures are drawn from the results alone.

    Parameters
    ----------
    results : dict of Result
    known : dict of Experiment
        All experiments, by name: those without a result are named at the end.
    audit : list of dict, optional
        Records of `minires.lab.claims.audit`.
    out_of_date : dict of str, optional
        By an experiment's name or an item's code, why its result is, or its record: as
        `Laboratory.out_of_date` says, and `minires.lab.claims.auditing.out_of_date`.

    Returns
    -------
    str
        A whole HTML page, with its pictures inside.
    """
    shown = [(known[name], results[name]) for name in known if name in results]
    sections = [
        _opening(shown, audit),
        _overview(shown),
        *(_experiment(each, result, out_of_date.get(each.name, "")) for each, result in shown),
        _audit(audit, out_of_date),
        _missing(results, known),
    ]
    return page("Claims about residual learning, re-run", filter(None, sections), style=_STYLE)


def measured_text(values: Any) -> str:
    """Return what was measured in few characters.

    Examples
    --------
    >>> measured_text([0.1, 0.25, 0.123456]), measured_text(True), measured_text(25557032)
    ('0.1, 0.25, 0.123', 'yes', '25,557,032')
    """
    if isinstance(values, bool):
        return "yes" if values else "no"
    if isinstance(values, int):
        return f"{values:,}"
    if isinstance(values, float):
        return short(values)
    if isinstance(values, (list, tuple)):
        return ", ".join(map(measured_text, values))
    if isinstance(values, dict):
        return "; ".join(f"{name}: {measured_text(value)}" for name, value in values.items())
    return "–" if values is None else str(values)


def where_it_shows(claim: Judged, scale: str) -> str:
    """Say at which scale a claim should show, where this one has not shown it; or ""."""
    if claim["outcome"] == "supports":
        return ""
    if claim["shows_at"] is None:
        return "It need not show at any scale here."
    scales: Sequence[str] = SCALES
    if scales.index(claim["shows_at"]) > scales.index(scale):
        return f"The scale {scale} does not show it; {claim['shows_at']} should."
    return f"The scale {scale} should show it, and does not."


def notes_on(result: Result, out_of_date: str) -> list[str]:
    """Return what must be said of a result before anything else."""
    notes = [(result.images or {}).get("note", "")]
    if out_of_date:
        again = f"minires lab run {result.experiment} --scale {result.scale}"
        notes.append(f"This result is {out_of_date}. {again} makes it anew.")
    notes += [f"Failed{_place(failure)}: {failure['failure']}" for failure in result.failures]
    return [note for note in notes if note]


def origins_text(results: Iterable[Result]) -> str:
    """Return where the trials of some results were run, and by which commits of minires."""
    found = [
        f"{machine.get('processor', '')}, {machine.get('processors', '?')} processors, NumPy"
        f" {machine.get('numpy', '?')}, commit {origin['commit'] or 'unknown'}"
        for result in results
        for origin in result.origins
        for machine in (origin["environment"],)
    ]
    return "; ".join(dict.fromkeys(found))


def drawn(experiment: Experiment, result: Result, theme: Theme, dpi: int = 150) -> bytes | str:
    """Return the figure of a result as a PNG; or why there is none."""
    try:
        return to_png(experiment.draw(result.trials, result.measured, theme), dpi=dpi)
    except Exception as error:  # what cannot be drawn hides no other
        return f"No figure: {type(error).__name__}: {error}"


def verdict_text(record: Mapping[str, Any]) -> str:
    """Return what the audit holds of a statement, and by which source."""
    return f"{record['verdict']} ({record['source']})"


def evidence_text(record: Mapping[str, Any]) -> str:
    """Return what the check of an audited statement measured, and by which rule it was judged."""
    return f"{record['because']} (rule: {record['rule']})" if record["because"] else "cited"


def outcome_text(outcome: str, out_of_date: str | None) -> str:
    """Return an outcome, and that it is out of date if it is."""
    return f"{outcome}, {out_of_date}" if out_of_date else outcome


def _opening(
    shown: Sequence[tuple[Experiment, Result]], audit: Sequence[Mapping[str, Any]] | None
) -> str:
    claims: Counter[str] = Counter(
        claim["outcome"] for _, result in shown for claim in result.claims
    )
    told = [f"Claims of papers: {_tally(claims)}."] if claims else []
    failed = [result.experiment for _, result in shown if result.outcome == "failed"]
    if failed:
        told.append(f"Failed: {', '.join(failed)}.")
    if audit:
        told.append(
            "What introductory articles say, audited: of"
            f" {len(audit)} correct statements {_tally(Counter(r['outcome'] for r in audit))}."
        )
    scales = sorted({result.scale for _, result in shown})
    if "tiny" in scales:
        told.append("At the scale tiny everything is run, but outcomes mean nothing.")
    where = origins_text(result for _, result in shown)
    return (
        "<header>\n<h1>Claims about residual learning, re-run</h1>\n"
        '<p class="lede">Is it true, and can I see it? Each claim was put to an experiment, and a'
        " rule that was written beforehand turned what was measured into an outcome: an effect must"
        " show in every seed, of three at least, or in a 95 % confidence interval. Scale:"
        f" {escape(', '.join(scales) or 'none')}; {escape(where)}.</p>\n</header>\n"
        '<section class="verdict"><ul>'
        + "".join(f"<li>{escape(sentence)}</li>" for sentence in told)
        + "</ul></section>"
    )


def _tally(counts: Counter[str]) -> str:
    named = {"supports": "supported", "contradicts": "contradicted", "cited": "cited only"}
    return ", ".join(
        f"{counts[outcome]} {named.get(outcome, outcome)}" for outcome in _SIGNS if counts[outcome]
    )


def _overview(shown: Sequence[tuple[Experiment, Result]]) -> str:
    rows: list[list[str | Cell]] = []
    for experiment, result in shown:
        link = Cell(experiment.name, link=f"#{experiment.name}")
        rows += [
            [
                link,
                claim["claim"],
                claim["source"],
                claim["paper"] or "–",
                _values(claim["measured"]),
                Cell(_SIGNS[claim["outcome"]], claim["outcome"]),
            ]
            for claim in result.claims
        ]
        if result.outcome == "failed":
            failed = Cell(_SIGNS["failed"], "failed")
            rows.append([link, experiment.title, "–", "–", "–", failed])
    head = ["experiment", "claim", "source", "published", "measured here", "outcome"]
    caption = "Every claim. A list has one number for each seed."
    return (
        '<section class="wordy"><h2>At a glance</h2>'
        f'<div class="card">{table(caption, head, rows)}</div></section>'
    )


def _experiment(experiment: Experiment, result: Result, out_of_date: str) -> str:
    body = [f'<section class="experiment" id="{escape(experiment.name)}">']
    body.append(f"<h2>{escape(experiment.title)}</h2>\n<p>{escape(experiment.about)}</p>")
    body += [f'<p class="note">{escape(note)}</p>' for note in notes_on(result, out_of_date)]
    if result.outcome != "failed":
        body.append(_figure(experiment, result))
    body.append('<ul class="claims">')
    for claim in result.claims:
        pairs = [
            ("source", claim["source"]),
            ("published", claim["paper"] or "no number"),
            ("measured", claim["because"]),
            ("rule", claim["rule"]),
        ]
        body.append(
            f'<li class="{claim["outcome"]}"><p class="outcome">{escape(_SIGNS[claim["outcome"]])}:'
            f" {escape(claim['claim'])}</p>{definitions(pairs)}{_note(claim, result)}</li>"
        )
    body.append("</ul>")
    body.append(details("All that was measured, and how", _particulars(result)))
    body.append("</section>")
    return "\n".join(body)


def _note(claim: Judged, result: Result) -> str:
    told = where_it_shows(claim, result.scale)
    return f'<p class="note">{escape(told)}</p>' if told else ""


def _figure(experiment: Experiment, result: Result) -> str:
    light, dark = (drawn(experiment, result, theme) for theme in (LIGHT, DARK))
    if isinstance(light, str) or isinstance(dark, str):
        return f'<p class="note">{escape(light if isinstance(light, str) else str(dark))}</p>'
    alt = f"{experiment.title}. {experiment.caption}"
    return (
        f'<figure class="card">{picture(light, dark, alt)}'
        f"<figcaption>{escape(experiment.caption)}</figcaption></figure>"
    )


def _place(failure: Mapping[str, Any]) -> str:
    return f" ({failure['condition']}, seed {failure['seed']})" if failure["condition"] else ""


def _particulars(result: Result) -> str:
    settings = {**result.settings}
    for not_of_trials in ("seconds", "seeds"):
        settings.pop(not_of_trials, None)
    images = result.images or {}
    return definitions(
        [
            *((name, measured_text(value)) for name, value in result.measured.items()),
            ("settings", measured_text(settings)),
            ("seeds", measured_text(result.seeds)),
            ("images", measured_text(images) if images else "none"),
            ("device", result.device),
            ("trials took", f"{in_words(result.seconds)} in all"),
            *_origins(result),
            ("judged", measured_text(result.judged)),
        ]
    )


def _origins(result: Result) -> list[tuple[str, str]]:
    return [
        (
            f"{origin['trials']} trials",
            f"commit {origin['commit'] or 'unknown'}, from {origin['first']} to {origin['last']};"
            f" {measured_text(origin['environment'])}",
        )
        for origin in result.origins
    ]


def _values(measured: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}: {measured_text(value)}" for name, value in measured.items())


def _audit(records: Sequence[Mapping[str, Any]] | None, out_of_date: Mapping[str, str]) -> str:
    if not records:
        return ""
    rows: list[list[str | Cell]] = [
        [
            Cell(record["code"]),
            record["statement"],
            verdict_text(record),
            record["correct"],
            evidence_text(record),
            Cell(
                outcome_text(_SIGNS[record["outcome"]], out_of_date.get(record["code"])),
                record["outcome"],
            ),
        ]
        for record in records
    ]
    against = [record["code"] for record in records if record["outcome"] == "contradicts"]
    warning = (
        f'<p class="note contradicts">Our measurement contradicts the audit in'
        f" {escape(', '.join(against))}: both stand below, and neither was made to fit.</p>"
        if against
        else ""
    )
    head = ["code", "what is said", "verdict, source", "what is right", "measured, rule", "outcome"]
    caption = (
        "What introductory articles say. The verdict is the audit's, on what is said; the outcome"
        " is that of the check of what is right."
    )
    return (
        f'<section class="wordy" id="claims"><h2>Myths, tested</h2>{warning}'
        f'<div class="card">{table(caption, head, rows)}</div></section>'
    )


def _missing(results: Mapping[str, Result], known: Mapping[str, Experiment]) -> str:
    missing = [name for name in known if name not in results]
    if not missing:
        return ""
    return (
        f'<p class="note">Not run yet: {escape(", ".join(missing))}. Run: minires lab run'
        f" {escape(missing[0])}</p>"
    )
