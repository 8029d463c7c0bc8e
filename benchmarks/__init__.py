"""Benchmarks: what minires costs, measured beside what bounds it.

``python -m benchmarks`` runs them all and writes ``benchmarks/results/<date>-<name>.json``.
Machines are shared and noisy: compare within one run, and trust ratios and minimums.
"""
