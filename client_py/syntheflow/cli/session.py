"""What every command has: the server to talk to, the form of its output, one way to fail.

Progress and messages go to stderr, results to stdout. Exit codes: 0 done, 1 failed,
2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syntheflow.client import Client
from syntheflow.errors import SyntheflowError

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_SERVER = "127.0.0.1:50051"
INTERRUPTED = 130


class Output(StrEnum):
    """Form of the results on stdout."""

    TEXT = "text"
    JSON = "json"


ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="HOST:PORT",
        help=f"The server to ask; or set SYNTHEFLOW_SERVER. Default: {DEFAULT_SERVER}.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    Output | None,
    typer.Option("--output", help="Form of the result. Default: text.", show_default=False),
]


@dataclass(frozen=True)
class Session:
    """One run of a command."""

    server: str
    output: Output
    server_given: bool = False
    """True if the server was named, on the command line or in the environment."""

    @property
    def as_json(self) -> bool:
        """True if stdout shall be one JSON document."""
        return self.output is Output.JSON

    def connect(self) -> Client:
        """Return a client of the server, to be used in a `with` block."""
        return Client(self.server)

    @functools.cached_property
    def out(self) -> Console:
        """The console for results; as wide as they need if nobody watches."""
        return _console(sys.stdout)

    @functools.cached_property
    def err(self) -> Console:
        """The console for progress and messages."""
        return _console(sys.stderr)

    def show(self, value: Any, text: Callable[[Console], None]) -> None:
        """Print a result: `value` as JSON, or what `text` writes."""
        if self.as_json:
            print(json.dumps(value, indent=2, ensure_ascii=False))
        else:
            text(self.out)

    def say(self, sentence: str) -> None:
        """Print a message for people."""
        print(sentence, file=sys.stderr)


def _console(file: Any) -> Console:
    from rich.console import Console

    width = None if file.isatty() else 10_000
    return Console(file=file, markup=False, highlight=False, emoji=False, width=width)


def remember(
    context: typer.Context, server: ServerOption = None, output: OutputOption = None
) -> None:
    """Keep the options that stand before the command; the callback of all groups."""
    before = context.parent.obj if context.parent is not None else None
    kept = before or {"server": None, "output": None}
    context.obj = {"server": server or kept["server"], "output": output or kept["output"]}


def group(help_text: str) -> typer.Typer:
    """Return an empty group of commands that takes --server and --output as well."""
    app = typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(remember)
    return app


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command of `app`.

    The function takes a Session first; --server and --output are added to its own
    options, and its errors become one sentence on stderr and an exit code.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        def run(context: typer.Context, **given: Any) -> None:
            before = context.obj or {}
            server = given.pop("server") or before.get("server")
            output = given.pop("output") or before.get("output")
            named = server or os.environ.get("SYNTHEFLOW_SERVER")
            session = Session(
                server=named or DEFAULT_SERVER,
                output=output or Output.TEXT,
                server_given=bool(named),
            )
            guarded(functools.partial(function, session, **given))

        options = inspect.signature(function, eval_str=True).parameters.values()
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter("context", kind, annotation=typer.Context),
            *(option.replace(kind=kind) for option in list(options)[1:]),
            inspect.Parameter("server", kind, default=None, annotation=ServerOption),
            inspect.Parameter("output", kind, default=None, annotation=OutputOption),
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__doc__ = function.__doc__
        app.command(name)(run)
        return function

    return register


def guarded_command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], None]:
    """Register a function that needs no Session; its errors end as all others do."""

    def register(function: Callable[..., None]) -> None:
        @functools.wraps(function)
        def run(**given: Any) -> None:
            guarded(functools.partial(function, **given))

        app.command(name)(run)

    return register


def guarded(work: Callable[[], None]) -> None:
    """Do a command's work; an error ends it with one sentence and its exit code."""
    try:
        work()
        sys.stdout.flush()
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except SyntheflowError as error:
        _fail(_sentences(error))
    except BrokenPipeError:
        # The reader has what it wanted (`| head`); Python must not flush into the void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    except OSError as error:
        _fail(f"{error.filename or 'The system'}: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - people get a sentence, never a trace
        _fail(f"this should not happen; please report it: {type(error).__name__}: {error}")


def _sentences(error: SyntheflowError) -> str:
    """Return the error for people: its message, and rules that the message does not tell."""
    told = [f"  - {v.rule}" for v in error.violations if v.rule and v.rule not in error.message]
    return "\n".join([error.message, *told[:20]])


def _fail(text: str) -> None:
    print(f"Error: {text}", file=sys.stderr)
    raise typer.Exit(1) from None
