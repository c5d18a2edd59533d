"""Settings of the server: one typed object, built once at the start and passed down.

Flags of `python -m syntheflow_server` win over the environment (SYNTHEFLOW_*),
which wins over the TOML file, which wins over the defaults here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from syntheflow_server.connect.access import Access
from syntheflow_server.connect.settings import NAME, Connection
from syntheflow_server.domain.errors import InvalidArgumentError


def _words(value: object) -> object:
    """Split a text of the environment at its commas."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Folders = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_words)]


class Settings(BaseSettings):
    """All that an operator may set."""

    model_config = SettingsConfigDict(
        env_prefix="SYNTHEFLOW_",
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )
    _toml: ClassVar[Path | None] = None

    data_dir: Path = Field(Path("syntheflow-data"), description="Folder of all that is kept.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(50051, ge=0, le=65535, description="Port of gRPC; 0 lets the system choose.")
    http_port: int = Field(
        8080, ge=0, le=65535, description="Port of HTTP; 0 lets the system choose."
    )
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=1024,
        description="Sampling processes; default: one a core.",
    )
    log_format: Literal["console", "json"] = Field("console", description="Form of log lines.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    max_upload_bytes: int = Field(100 * 2**30, ge=1, description="Largest upload, all files.")
    max_running_uploads: int = Field(2, ge=1, description="Uploads parsed at the same time.")
    max_queued_uploads: int = Field(32, ge=0, description="Uploads that may wait to be parsed.")
    max_running_jobs: int = Field(
        1, ge=1, description="Jobs of one kind (training, validation) at the same time."
    )
    max_queued_jobs: int = Field(100, ge=0, description="Jobs of one kind that may wait.")
    max_active_streams: int = Field(32, ge=1, description="Streams generated at the same time.")
    max_queued_streams: int = Field(64, ge=0, description="Streams that may wait for a place.")
    models_per_worker: int = Field(4, ge=1, description="Models a worker keeps in memory.")
    cached_plans: int = Field(8, ge=0, description="Unused sampling plans kept for the next call.")
    shutdown_grace_seconds: float = Field(
        30.0, ge=0, description="How long running streams may go on after SIGTERM."
    )
    drain_delay_seconds: float = Field(
        0.0, ge=0, description="Pause between saying NOT_SERVING and refusing new work."
    )

    allowed_hosts: Words = Field(
        (),
        description="Hosts that may be connected to: HOST, HOST:PORT, *.DOMAIN (public "
        "addresses only); with commas between. Default: none.",
    )
    allowed_folders: Folders = Field(
        (), description="Folders whose files may be read and written. Default: none."
    )
    allowed_buckets: Words = Field(
        (),
        description="Object stores that may be read and written: s3://BUCKET/PREFIX, "
        "gs://BUCKET, abfs://CONTAINER@ACCOUNT. Default: none.",
    )
    connections: dict[str, Connection] = Field(
        default_factory=dict,
        description="Places by name, with what opens them; in the environment as JSON.",
    )
    secrets_file: Path | None = Field(
        None,
        description="TOML file, for its owner alone: a table for each connection or URL with "
        "user and password.",
    )

    @field_validator("connections")
    @classmethod
    def _named(cls, connections: dict[str, Connection]) -> dict[str, Connection]:
        if not all(map(NAME.fullmatch, connections)):
            raise ValueError("names of connections have 1 to 63 of a-z, 0-9, '-' and '_'")
        return connections

    def access(self, environment: Mapping[str, str]) -> Access:
        """Return what these settings allow of the outside.

        `environment` is where PGPASSWORD and the like may stand. Raises ValueError or
        InvalidArgumentError if an allow-list holds what cannot be understood.
        """
        return Access(
            allowed_hosts=self.allowed_hosts,
            allowed_folders=self.allowed_folders,
            allowed_buckets=self.allowed_buckets,
            connections=self.connections,
            secrets_file=self.secrets_file,
            environment=environment,
        )

    @model_validator(mode="after")
    def _understood(self) -> Settings:
        try:
            self.access({})
        except InvalidArgumentError as error:
            raise ValueError(f"allowed_buckets: {error.message}") from None
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources; the names are those of pydantic-settings."""
        del dotenv_settings, file_secret_settings
        sources = [init_settings, env_settings]
        if cls._toml is not None:
            sources.append(TomlConfigSettingsSource(settings_cls, cls._toml))
        return tuple(sources)


def load_settings(config: Path | None = None, **flags: Any) -> Settings:
    """Build the settings out of flags, environment and the TOML file `config`, if given.

    Raises pydantic.ValidationError if a value is wrong, OSError or ValueError
    (tomllib.TOMLDecodeError) if the file cannot be read.
    """
    if config is None:
        return Settings(**flags)
    with config.open("rb"):  # a missing file is an error here, not silently nothing
        pass

    class _WithFile(Settings):
        _toml: ClassVar[Path | None] = config

    return Settings.model_validate(_WithFile(**flags).model_dump())
