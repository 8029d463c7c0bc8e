"""Pairing: every job in every round, and ratios to each peer."""

from __future__ import annotations

from benchmarks.measure import interleaved, paired


def test_paired_jobs_report_times_and_ratios_to_every_peer_with_their_range() -> None:
    ran: list[str] = []
    jobs = {name: (lambda name=name: ran.append(name)) for name in ("minires", "x", "y")}

    measured = paired(jobs, 3, sums={"both": ("x", "y")})

    assert ran == ["minires", "x", "y"] * 5
    assert measured["rounds"] == 3
    assert measured["jobs"].keys() == {"minires", "x", "y", "both"}
    for times in measured["jobs"].values():
        assert times.keys() == {"minimum", "median", "cpu_minimum"}
    ratios = measured["ratios"]["minires"]
    assert ratios.keys() == {"x", "y", "both"}
    for ratio in ratios.values():
        assert ratio["low"] <= ratio["median"] <= ratio["high"]


def test_interleaved_alone_gives_seconds_by_job() -> None:
    assert interleaved({"a": int}, 2)["a"].keys() == {"minimum", "median", "cpu_minimum"}
