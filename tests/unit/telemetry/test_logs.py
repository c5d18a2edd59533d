from __future__ import annotations

import json
import logging

import pytest
import structlog

from syntheflow_server.telemetry.logs import configure_logs


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def fail() -> None:
    raise ValueError("Mrs Secret")


def lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_lines_are_json_with_level_and_time(capsys):
    configure_logs("json", "info")
    structlog.get_logger("room").info("done", rows=3)
    structlog.get_logger("room").debug("unseen")
    (line,) = lines(capsys)
    assert (line["event"], line["rows"], line["level"], line["logger"]) == (
        "done",
        3,
        "info",
        "room",
    )
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("logger", ["ours", "library"])
def test_an_exception_is_logged_by_its_places_and_never_by_its_words(capsys, logger):
    configure_logs("json", "info")
    try:
        fail()
    except ValueError as error:
        if logger == "ours":
            structlog.get_logger("room").error("broke", exc_info=error)
        else:
            logging.getLogger("asyncio").exception("broke", exc_info=error)
    (line,) = lines(capsys)
    assert "Secret" not in json.dumps(line)
    assert line["trace"][0] == "builtins.ValueError"
    assert any("in fail" in place for place in line["trace"])


def test_the_console_form_is_one_readable_line(capsys):
    configure_logs("console", "info")
    structlog.get_logger("room").info("done", rows=3)
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "done" in text
    assert "rows=3" in text
