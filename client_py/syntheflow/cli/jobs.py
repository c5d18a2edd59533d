"""`syntheflow jobs`: list, show, delete, cancel, watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from syntheflow.cli import render
from syntheflow.cli.resources import Kind, Name, Names, add_kind
from syntheflow.cli.session import Session, command
from syntheflow.cli.verbs import follow
from syntheflow.client import Client
from syntheflow.values import Job

if TYPE_CHECKING:
    from rich.console import Console


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    jobs = add_kind(app, JOBS)
    command(jobs, "cancel")(cancel)
    command(jobs, "watch")(watch)


def cancel(session: Session, names: Names) -> None:
    """Ask jobs to stop; an ended job stays as it is."""
    with session.connect() as client:
        found = [client.cancel(name) for name in names]
    lines = "\n".join(f"{job.name} was {job.state}" for job in found)
    session.show([job.to_dict() for job in found], lambda console: console.print(lines))


def watch(session: Session, name: Name) -> None:
    """Show a job's progress to its end; Ctrl-C stops watching, not the job."""
    with session.connect() as client:
        job = client.get_job(name)
        ended = follow(session, client, job, f"{job.kind} {job.target}", cancel=False)
    session.show(ended.to_dict(), lambda console: print_job(console, ended))


def print_job(console: Console, job: Job) -> None:
    """Print all of a job."""
    pairs = [
        ("job", job.name),
        ("kind", job.kind),
        ("state", job.state),
        ("progress", f"{job.progress:.0%}"),
        ("stage", job.stage),
        ("target", job.target),
        ("result", job.result),
        ("error", "" if job.error is None else f"{job.error.reason}: {job.error.message}"),
        ("asked", render.moment(job.create_time)),
        ("begun", render.moment(job.start_time)),
        ("ended", render.moment(job.end_time)),
        *((name, f"{value:g}") for name, value in sorted(job.metrics.items())),
    ]
    render.fields(console, [(name, value) for name, value in pairs if value])


JOBS = Kind(
    plural="jobs",
    singular="job",
    listed=Client.list_jobs,
    get=Client.get_job,
    delete=Client.delete_job,
    columns=("NAME", "KIND", "STATE", ">PROGRESS", "TARGET", "RESULT", "MADE"),
    row=render.job_row,
    show=print_job,
)
