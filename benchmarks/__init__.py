"""Benchmarks: what minires costs, measured beside what bounds it and beside its peers.

``python -m benchmarks`` lists the commands; they need the extra ``bench``. ``python -m
benchmarks.gpu`` measures on a GPU, and needs the extra ``gpu``, too. Results are kept in
``benchmarks/results/``, and `docs/performance.md` is made of them. Machines are shared and noisy:
compare within one run, and trust ratios and minimums.
"""
