"""Closed forms, bounds and certificates: one file for each piece of theory."""

from factorflow.theory._certificate import Certificate, kkt_certificate, least_trace
from factorflow.theory._commuting import commuting_eigenvalues, exposure_of
from factorflow.theory._commuting_limit import CommutingLimit, commuting_flow
from factorflow.theory._schatten import (
    SchattenCounterexample,
    schatten_counterexample,
    schatten_power,
)

__all__ = [
    "Certificate",
    "CommutingLimit",
    "SchattenCounterexample",
    "commuting_eigenvalues",
    "commuting_flow",
    "exposure_of",
    "kkt_certificate",
    "least_trace",
    "schatten_counterexample",
    "schatten_power",
]
