"""JUnit's XML, which most services that run tests can show."""

from __future__ import annotations

from xml.etree import ElementTree

from minires.classroom.results import Submission
from minires.pages.markup import NO_XML


def as_junit(submission: Submission) -> str:
    """Return a test suite of a submission.

    Examples
    --------
    >>> from minires.classroom.results import GradedCheck
    >>> check = GradedCheck("relu_values", "ReLU", "failed", 0, 2, False, "y < 0")
    >>> print(as_junit(Submission("ada", "small", (check,))))  # doctest: +ELLIPSIS
    <?xml version='1.0' encoding='utf-8'?>
    <testsuite name="small" ...><testcase ...><failure message="y &lt; 0">...
    """
    counts = [check.status for check in submission.checks]
    suite = ElementTree.Element(
        "testsuite",
        name=submission.assignment,
        tests=str(len(counts)),
        failures=str(counts.count("failed")),
        errors="0",
        skipped=str(sum(not each.passed and each.status != "failed" for each in submission.checks)),
        time=f"{submission.seconds:.3f}",
    )
    for check in submission.checks:
        case = ElementTree.SubElement(
            suite, "testcase", classname=submission.assignment, name=check.name
        )
        said = "" if check.hidden else NO_XML.sub("?", check.message)
        if check.status == "failed":
            ElementTree.SubElement(case, "failure", message=said.split("\n")[0]).text = said
        elif not check.passed:  # it waits for another check, or for people, or they gave less
            ElementTree.SubElement(case, "skipped", message=said)
        if check.output and not check.hidden:
            ElementTree.SubElement(case, "system-out").text = NO_XML.sub("?", check.output)
    text: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return text.decode()
