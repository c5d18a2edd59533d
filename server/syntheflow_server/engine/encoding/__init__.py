"""Turns columns of Arrow values into small integer tokens for the network, and back."""

from __future__ import annotations

from syntheflow_server.engine.encoding.base import Codec, State, Token
from syntheflow_server.engine.encoding.choose import (
    codec_from_state,
    codec_to_state,
    column_order,
    fit_codec,
)

__all__ = [
    "Codec",
    "State",
    "Token",
    "codec_from_state",
    "codec_to_state",
    "column_order",
    "fit_codec",
]
