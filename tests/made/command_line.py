"""The command line, run in this process."""

import sys

import pytest

from hf_ntg import cli


def run(monkeypatch, capsys, *words):
    """Exit status, standard output and standard error of ``ntg words``."""
    monkeypatch.setattr(sys, "argv", ["ntg", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        sys.exit(cli.main())
    printed = capsys.readouterr()
    return stopped.value.code or 0, printed.out, printed.err
