"""Negative log-likelihood and log-probabilities on an LM head, without the logits.

`linear_nll` and `linear_logps` take hidden states and the head's weight, and never hold more logits than one tile of
`(chunk_size, V)`. `linear_nll_reference` and `linear_logps_reference` say in a few lines what they compute.
"""

from __future__ import annotations

from trainwright_ops.logps import linear_logps
from trainwright_ops.nll import linear_nll
from trainwright_ops.reference import linear_logps_reference, linear_nll_reference
from trainwright_ops.results import LinearLogps, LinearNLL
from trainwright_ops.weights import WeightRows

__all__ = [
    "LinearLogps",
    "LinearNLL",
    "WeightRows",
    "linear_logps",
    "linear_logps_reference",
    "linear_nll",
    "linear_nll_reference",
]
