"""The README's code is run, so that it stays true."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from hf_ntg import cli, write_pcap
from hf_ntg.training import config

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_python_blocks_run_one_after_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # The README trains by the recipe, minutes long; one pass over short flows shows as well that the words are right.
    monkeypatch.setitem(config.RECIPES, "gpt2", config.RECIPES["gpt2"] | {"max_steps": 1, "max_packets": 3})
    names = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert "https" in capsys.readouterr().out


def test_commands_run_one_after_another(flows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pcap(flows, "capture.pcap")
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("ntg ")]
    assert len(commands) >= 5
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as stopped:
            sys.exit(cli.main())
        assert not stopped.value.code, command
    assert Path("own/report/report.html").stat().st_size > 0


def test_set_up_is_the_two_commands_that_ci_runs():
    ci = (Path(__file__).parents[1] / ".ci" / "run").read_text(encoding="utf-8")
    install, test = blocks("sh")[:2]
    assert 'pip install -e ".[test]"' in install
    assert 'pip install -q -e ".[test]"' in ci
    assert test.strip().removeprefix(".venv/bin/") in ci
