"""What an operator says about one connection."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from syntheflow_server.connect.places import parse_place
from syntheflow_server.connect.secret import Secret
from syntheflow_server.domain.errors import InvalidArgumentError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""Names of connections: they cannot be mistaken for a URL or a path."""


class Connection(BaseModel):
    """A place that may be named in requests, with the secret that opens it.

    Its host, bucket, folder or file is allowed by being named here. For stores `user` is
    the key's id and `password` the key (Azure: the account's key). `password_file` holds
    nothing but the password. `options` go to the driver as they are: whoever writes the
    settings may name certificates (`sslrootcert`) and endpoints (`endpoint_override`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str
    user: str = ""
    password: Secret | None = None
    password_file: Path | None = None
    session_token: Secret | None = None
    options: dict[str, str] = Field(default_factory=dict)
    read_only: bool = False

    @field_validator("url")
    @classmethod
    def _readable(cls, url: str) -> str:
        try:
            return parse_place(url).url
        except InvalidArgumentError as error:
            raise ValueError(error.message) from None

    @model_validator(mode="after")
    def _one_password(self) -> Connection:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give password or password_file, not both")
        return self
