"""The papers that most items rest on."""

from __future__ import annotations

HE2015 = "He et al. 2015, arXiv 1512.03385"
HE2016 = "He et al. 2016, arXiv 1603.05027"
IOFFE = "Ioffe and Szegedy 2015, arXiv 1502.03167"
