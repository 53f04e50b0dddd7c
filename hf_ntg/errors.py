"""The one error that is the input's or the user's fault."""

__all__ = ["InputError"]


class InputError(ValueError):
    """Bad input: one line that names the file, the place and the remedy. The command line prints it and exits 2."""
