"""Errors that end in one line: a fault of the input, and an interruption."""

__all__ = ["InputError", "Interrupted"]


class InputError(ValueError):
    """Bad input or a bad request: one line that names the file, the place and the remedy.

    The command line prints it and exits 2.
    """


class Interrupted(KeyboardInterrupt):
    """Work was stopped by Ctrl-C or a signal; the message says in one line what is kept and how to go on."""
