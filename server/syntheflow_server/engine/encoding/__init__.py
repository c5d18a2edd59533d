"""Turns columns of Arrow values into small integer tokens for the network, and back."""

from __future__ import annotations

from syntheflow_server.engine.encoding.base import Codec, State, Token
from syntheflow_server.engine.encoding.choose import (
    codec_from_state,
    codec_to_state,
    column_order,
    fit_codec,
)
from syntheflow_server.engine.encoding.guide import best_guide

__all__ = [
    "Codec",
    "State",
    "Token",
    "best_guide",
    "codec_from_state",
    "codec_to_state",
    "column_order",
    "fit_codec",
]
