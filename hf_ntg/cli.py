"""`ntg`: the command line."""

from __future__ import annotations

import logging
import os
import sys
import warnings

from hf_ntg.commands import flows, generators, judging, sharing  # noqa: F401 (they register)
from hf_ntg.commands.app import app, say
from hf_ntg.errors import InputError

__all__ = ["app", "main"]


def main() -> None:
    """Run a command; exit 0 when done, 2 with one line when the input or the user is at fault, 1 when we are."""
    # Our own bars say what is going on; those of the libraries would tear them.
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # Threads wait for each other by spinning. With the libraries' own patience, and other programs that want the cores
    # too, a training step has been seen to take ten times the processor's time.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.showwarning = lambda message, category, *_: say(f"ntg: warning: {message}")
    try:
        app()
    except InputError as error:
        say(f"ntg: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        say("ntg: interrupted")
        sys.exit(130)


if __name__ == "__main__":
    main()
