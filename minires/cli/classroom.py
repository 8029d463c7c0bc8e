"""`minires class`: for those who teach."""

from __future__ import annotations

from . import class_grade, class_make, class_report, class_verify
from .groups import group

app = group("class", "Assignments, for those who teach.")
app.command("new")(class_make.run_new)
app.command("verify")(class_verify.run_verify)
app.command("release")(class_make.run_release)
app.command("gradescope-zip")(class_make.run_gradescope_zip)
app.command("grade")(class_grade.run_grade)
app.command("regrade")(class_grade.run_regrade)
app.command("report")(class_report.run_report)
