"""`ntg`: the command line."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import warnings
from typing import Any

import typer
import typer.main

from hf_ntg.commands import augmenting, flows, generators, judging, sharing  # noqa: F401 (they register)
from hf_ntg.commands.app import FOR_EVERY_COMMAND, Stopped, app, results, say
from hf_ntg.errors import InputError
from hf_ntg.launch import living_launcher
from hf_ntg.printable import printable
from hf_ntg.progress import logger
from hf_ntg.trouble import machine_trouble
from hf_ntg.workers import end_with_parent

__all__ = ["app", "main"]

# The base of Typer's usage errors, wherever the installed version keeps it.
_UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> None:
    """Run a command and end the process.

    Exit codes: 0 done; 2 with one line when the input, the request or the machine is at fault; 3 when the input was
    read in part; 130 after Ctrl-C, 143 after SIGTERM; 1 when ntg is at fault.
    """
    _quiet_libraries()
    _log_to_stderr()
    words, status, line = _common_options_first(sys.argv[1:]), 0, ""
    results.as_json, terminated = "--json" in words, _catch_sigterm()
    try:
        launcher = living_launcher()
        if launcher is not None:
            end_with_parent(launcher)
        with contextlib.redirect_stdout(sys.stderr) if "--json" in words else contextlib.nullcontext():
            command = typer.main.get_command(app)
            status = command.main(words or ["--help"], prog_name="ntg", standalone_mode=False) or 0
    except InputError as error:
        status, line = 2, str(error)
    except Stopped as error:
        status, line = (143 if terminated else 130), str(error)
    except KeyboardInterrupt as error:
        status, line = (143 if terminated else 130), str(error) or "interrupted"
    except _UsageError as error:
        status, line = 2, f"{error.format_message()} (see 'ntg --help')"  # type: ignore[attr-defined]
    except BrokenPipeError:  # the program that reads the output has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        said = machine_trouble(error)
        if said is None:
            raise
        status, line = 2, said
    finally:
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if line:
        print(printable(f"ntg: {' '.join(line.split())}"), file=sys.stderr, flush=True)
    if results.as_json:
        results.print_json(command=_command_of(words), exit_code=status, **({"error": line} if line else {}))
    if status:
        sys.exit(status)


def _common_options_first(words: list[str]) -> list[str]:
    """The command line with the options of every command ahead of the command, where Typer expects them."""
    end = words.index("--") if "--" in words else len(words)
    common = [word for word in words[:end] if word in FOR_EVERY_COMMAND]
    return [*common, *(word for word in words[:end] if word not in FOR_EVERY_COMMAND), *words[end:]]


def _command_of(words: list[str]) -> str:
    return next((word for word in words if not word.startswith("-")), "")


def _catch_sigterm() -> list[int]:
    """Let SIGTERM interrupt as Ctrl-C does; the list holds the signal once it came."""
    came: list[int] = []

    def stop(number: int, _: Any) -> None:
        came.append(number)
        raise KeyboardInterrupt

    with contextlib.suppress(ValueError):  # not in the main thread, which alone gets signals
        signal.signal(signal.SIGTERM, stop)
    return came


def _quiet_libraries() -> None:
    # Our own progress says what is going on; that of the libraries would tear it.
    verbose = "--verbose" in sys.argv
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "info" if verbose else "error")
    logging.getLogger("accelerate").setLevel(logging.INFO if verbose else logging.ERROR)
    warnings.showwarning = lambda message, category, *_: say(f"ntg: warning: {message}")


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print(printable(record.getMessage()), file=sys.stderr, flush=True)


def _log_to_stderr() -> None:
    if not any(isinstance(handler, _ToStderr) for handler in logger.handlers):
        logger.addHandler(_ToStderr())
    logger.setLevel(logging.INFO)


if __name__ == "__main__":
    main()
