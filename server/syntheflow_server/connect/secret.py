"""A secret: text that shows itself only when asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import core_schema


class Secret:
    """A password or key. `repr`, `str`, formatting and JSON hide it; `reveal()` tells it.

    It pickles, so that it can go to a process through a pipe; nothing stores pickles.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself, for the driver alone."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> tuple[Any, ...]:
        return Secret, (self._text,)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        """Read it from text; write it to JSON as stars."""
        del source, handler
        read = core_schema.no_info_plain_validator_function(cls._read)
        shown = core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        return core_schema.json_or_python_schema(read, read, serialization=shown)

    @classmethod
    def __get_pydantic_json_schema__(cls, source: object, handler: object) -> Mapping[str, str]:
        del source, handler
        return {"type": "string", "format": "password"}

    @classmethod
    def _read(cls, value: object) -> Secret:
        if isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return cls(value)
        raise ValueError("a secret is a text")
