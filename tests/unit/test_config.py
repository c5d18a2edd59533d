from __future__ import annotations

import os

import pytest
from pydantic import ValidationError

from syntheflow_server.config import load_settings


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "syntheflow.toml"
    path.write_text('host = "0.0.0.0"\nport = 1\nworkers = 3\n')
    return path


def test_defaults_are_those_of_the_documents(monkeypatch):
    settings = load_settings()
    assert (str(settings.data_dir), settings.host) == ("syntheflow-data", "127.0.0.1")
    assert (settings.port, settings.http_port) == (50051, 8080)
    assert settings.workers == os.cpu_count()


def test_flags_win_over_environment_over_file_over_defaults(toml, monkeypatch):
    monkeypatch.setenv("SYNTHEFLOW_PORT", "2")
    monkeypatch.setenv("SYNTHEFLOW_WORKERS", "4")
    settings = load_settings(toml, workers=5)
    assert (settings.host, settings.port, settings.workers) == ("0.0.0.0", 2, 5)
    assert settings.http_port == 8080
    assert load_settings().host == "127.0.0.1"


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_settings(tmp_path / "none.toml")


def test_a_name_that_is_no_setting_is_an_error(tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text("prot = 1\n")
    with pytest.raises(ValidationError, match="prot"):
        load_settings(path)


@pytest.mark.parametrize("wrong", [{"port": 70_000}, {"workers": 0}, {"log_format": "xml"}])
def test_values_out_of_range_are_errors(wrong):
    with pytest.raises(ValidationError):
        load_settings(**wrong)
