"""Run of a command line: signals, logs, errors and exit codes."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import typer

from jobs.cli.interrupts import Interrupts
from stages.redact import redact_text

# Typer vendors click; the base class of its exceptions is reached through an exported subclass.
_ClickError: Any = typer.BadParameter.__mro__[2]


def run_app(app: typer.Typer) -> None:
    """Run `app`. Errors are one line on stderr, with exit code 2; 130 after SIGINT, 143 after SIGTERM."""
    with Interrupts():
        _run(app)


class _Redacted(logging.Formatter):
    """Formatter that removes the credentials of URIs, which messages and tracebacks of libraries contain."""

    def format(self, record: logging.LogRecord) -> str:
        return redact_text(super().format(record))


def _run(app: typer.Typer) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Redacted("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=os.environ.get("ZOETROPE_LOG", "WARNING"), handlers=[handler])
    try:
        code = app(standalone_mode=False)
    except _ClickError as error:
        fail(error.format_message(), error)
    except typer.Abort:
        fail("interrupted", code=130)
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("ZOETROPE_LOG") == "DEBUG":
            raise
        fail(str(error))
    sys.exit(code)


def fail(message: str, error: Exception | None = None, code: int = 2) -> None:
    """Print an error on one line and exit."""
    context = getattr(error, "ctx", None)
    help_hint = f" (see {context.command_path} --help)" if context is not None else ""
    # Typer puts the kind of the exception of a parser before its text.
    text = redact_text(" ".join(message.split()).replace("Value error, ", ""))
    print(f"error: {text}{help_hint}", file=sys.stderr)
    sys.exit(code)
