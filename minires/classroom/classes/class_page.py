"""A class's results as one page: grades, mistakes, checks, incidents, and what each was told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, median

from minires.pages import details, escape, page, percent, table

from ..results import GradedCheck, Submission
from .class_report import ABOUT_SIMILARITY, MOST_PAIRS, ClassReport
from .grades import Grade

__all__ = ["page_of"]

_STYLE = """
.said { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0.3rem 0 0; max-width: none; }
.printed { color: var(--soft); border-left: 3px solid var(--line); padding-left: 0.7rem; }
.said, .printed { font: 0.85rem/1.5 ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
.heat { white-space: pre; overflow-x: auto; line-height: 1.25; }
.heat .below { color: var(--blue); }
.heat .above { color: var(--orange); }
.heat .far { font-weight: 700; }
.heat .worst, .heat .finite { color: var(--page); background: var(--ink); }
.heat .right { color: var(--soft); }
.checks { list-style: none; margin: 0.5rem 0; padding: 0; }
.checks li { border-top: 1px solid var(--line); padding: 0.5rem 0.2rem; }
.status { font-weight: 600; margin-right: 0.5rem; }
.failed .status { color: var(--orange); }
.passed .status { color: var(--green); }
.skipped .status, .points { color: var(--soft); }
.mistakes { list-style: none; margin: 0; padding: 0; }
.mistakes li { display: grid; grid-template-columns: 5.5rem 7rem 4.5rem 1fr; gap: 0.2rem 0.8rem; }
.mistakes li { align-items: center; padding: 0.25rem 0; }
.mistakes svg { display: block; width: 100%; height: 0.8rem; }
.mistakes rect { fill: var(--blue); }
.mistakes .ground { fill: var(--line); }
.words th, .words td { text-align: left; }
.words td { white-space: normal; min-width: 12rem; }
.about { margin: 0.8rem 0 0; }
section h2 { margin-bottom: 0.7rem; }
@media (max-width: 560px) {
  .mistakes li { grid-template-columns: 4.5rem 1fr 4.5rem; }
  .mistakes .says { grid-column: 1 / -1; }
}
"""


def page_of(report: ClassReport) -> str:
    """Return a class's results as a page that needs no network and runs no script.

    It holds what hidden checks said, and is for those who teach.

    Examples
    --------
    >>> from minires.classroom.classes.class_report import reported
    >>> "<b>" in page_of(reported("small", "<b>Small</b>", [], [], {}))
    False
    """
    title = f"{report.title}: results"
    return page(title, _sections(report), style=_STYLE)


def _sections(report: ClassReport) -> Iterator[str]:
    count = len(report.submissions)
    yield f"<h1>{escape(report.title)}</h1>"
    yield f'<p class="lede">{escape(_lede(report, count))}</p>'
    for missing in report.guards:
        yield f'<p class="note">Graded without a guard: {escape(missing)}</p>'
    for said in report.notes:
        yield f'<p class="note">{escape(said)}</p>'
    if report.grades:
        yield _section("Grades", _grades(report.grades))
    if report.mistakes:
        yield _section("Mistakes", _mistakes(report.mistakes, count))
    if report.items:
        yield _section("Checks", _items(report))
    incidents = [(each.id, fact) for each in report.submissions for fact in each.incidents]
    if incidents:
        rows = [[id, fact] for id, fact in incidents]
        shown = table("What no honest solution does; no points are taken for it", _INCIDENT, rows)
        yield _section("Incidents", f'<div class="words">{shown}</div>')
    if report.pairs is not None:
        yield _section("Likeness", _likeness(report))
    if report.submissions:
        told = [_submission(each) for each in report.submissions]
        yield _section("What each was told", "\n".join(told))


_INCIDENT = ("submission", "incident")


def _lede(report: ClassReport, count: int) -> str:
    if not count:
        return f"{report.assignment}: nothing was handed in."
    scores = [each.score for each in report.submissions]
    most = report.submissions[0].max_score
    return (
        f"{report.assignment}: {count} submission{'s' if count > 1 else ''}, {most} points."
        f" Mean {fmean(scores):.1f}, median {median(scores):g}, from {min(scores)} to"
        f" {max(scores)}."
    )


def _section(title: str, content: str) -> str:
    return f'<section><h2>{escape(title)}</h2>\n<div class="card">{content}</div></section>'


def _grades(grades: Sequence[Grade]) -> str:
    named = any(each.shown.name for each in grades)
    sections = any(each.shown.section for each in grades)
    late = any(each.late for each in grades)
    head = ["id"]
    head += ["name"] * named + ["section"] * sections + ["score", "of"]
    head += ["hours late", "taken off", "final"] * late + ["mistakes", "incidents"]
    rows = []
    for each in grades:
        row = [each.shown.id]
        row += [each.shown.name] * named + [each.shown.section] * sections
        row += [str(each.score), str(each.submission.max_score) if each.submission else "-"]
        if late:
            hours = each.late.by.total_seconds() / 3600 if each.late else 0
            off = each.late.points_off if each.late else 0
            row += [f"{hours:.1f}", f"{off:g}", f"{each.final:g}"]
        checks = each.submission.checks if each.submission else ()
        row.append(" ".join(dict.fromkeys(c.diagnosis for c in checks if c.diagnosis)))
        row.append(str(len(each.submission.incidents)) if each.submission else "not handed in")
        rows.append(row)
    return table("Points, and known mistakes", head, rows)


def _mistakes(mistakes: Sequence[tuple[str, int, str]], count: int) -> str:
    items = []
    for id, number, says in mistakes:
        bar = (
            '<svg aria-hidden="true" viewBox="0 0 100 10" preserveAspectRatio="none">'
            '<rect class="ground" width="100" height="10"/>'
            f'<rect width="{100 * number / count:.1f}" height="10"/></svg>'
        )
        items.append(
            f"<li><strong>{escape(id)}</strong>{bar}<span>{number} of {count}</span>"
            f'<span class="says">{escape(says)}</span></li>'
        )
    return '<ul class="mistakes">\n' + "\n".join(items) + "\n</ul>"


def _items(report: ClassReport) -> str:
    rows = [
        [
            *(item.name, str(item.points), percent(item.rate)),
            *(str(item.failed), str(item.skipped), str(item.by_hand)),
            "-" if item.discrimination is None else f"{item.discrimination:.2f}",
        ]
        for item in report.items
    ]
    head = ("check", "points", "passed", "failed", "skipped", "by hand", "discrimination")
    return table("Skipped checks wait for another one", head, rows) + (
        '<p class="about">Discrimination is the correlation of passing a check with the points of'
        " all others: near 0 or below, a check says little about who can do the rest.</p>"
    )


def _likeness(report: ClassReport) -> str:
    about = f"<p>{escape(ABOUT_SIMILARITY)}</p>"
    if not report.pairs:
        return about + "<p>No two submissions have much in common beside the starter.</p>"
    rows = [
        [pair.first, pair.second, percent(pair.share), str(pair.lines)]
        for pair in report.pairs[:MOST_PAIRS]
    ]
    head = ("submission", "and", "in common", "lines of the first")
    caption = "Without comments, names and the starter"
    if len(rows) < len(report.pairs):
        caption += f"; the first {len(rows)} of {len(report.pairs)} pairs"
    return about + table(caption, head, rows)


def _submission(submission: Submission) -> str:
    told = [f"<p>Incident: {escape(fact)}</p>" for fact in submission.incidents]
    checks = "\n".join(_check(check) for check in submission.checks)
    return details(
        f"{submission.id}: {submission.score} of {submission.max_score}",
        "".join(told) + f'<ul class="checks">\n{checks}\n</ul>',
    )


def _check(check: GradedCheck) -> str:
    hidden = " (hidden)" if check.hidden else ""
    parts = [
        f'<li class="{escape(check.status)}"><span class="status">{escape(check.status)}</span>'
        f'{escape(check.title)} <span class="points">{check.points} of {check.max_points}'
        f"{hidden}</span>"
    ]
    if check.message:
        parts.append(f'<div class="said">{escape(check.message)}</div>')
    if check.output.strip():
        parts.append(f'<div class="said printed">{escape(check.output.strip())}</div>')
    parts.append(_heat_map(check.heat_map))
    return "".join(parts) + "</li>"


def _heat_map(lines: Sequence[Sequence[Sequence[str]]]) -> str:
    """Draw where an array is wrong: lines of texts, each with the kind of its cells."""
    if not lines:
        return ""
    drawn = "\n".join(
        "".join(f'<span class="{escape(kind)}">{escape(text)}</span>' for text, kind in line)
        for line in lines
    )
    about = 'role="region" tabindex="0" aria-label="Where it is wrong"'
    return f'<div class="said heat" {about}>{drawn}</div>'
