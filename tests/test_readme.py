"""The README's code is run, so that it stays true: every `ntg` command and Python block, in order, against a Hub."""

import re
from pathlib import Path

import pytest
from hub_client import HubClient
from loopback_hub import LoopbackHub

from hf_ntg import write_pcap

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

# The README trains by the recipe, minutes long; one pass over short flows shows as well that the words are right.
HURRY = """
from hf_ntg.training import config
config.RECIPES["gpt2"] |= {"max_steps": 1, "max_packets": 3}
config.RECIPES["mamba"]["max_steps"] = 1
config.PRIVATE_RECIPE["max_steps"] = 1
import __main__
__main__.names = {}
"""
PYTHON = "import __main__\nexec(compile({block!r}, 'README.md', 'exec'), __main__.names)"
COMMAND = """
import shlex, sys
from hf_ntg import cli
sys.argv = shlex.split({line!r})
try:
    cli.main()
except SystemExit as stopped:
    assert not stopped.code, sys.argv
"""


def blocks(language):
    return re.findall(rf"```({language})\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.slow
def test_everything_runs_in_order(flows, tmp_path):
    for label in ("web", "dns"):
        (tmp_path / "captures").mkdir(exist_ok=True)
        write_pcap(flows.filter(lambda row, one=label: row["label"] == one), tmp_path / "captures" / f"{label}.pcap")
    ran = []
    with LoopbackHub() as hub:
        client = HubClient(hub.environment(tmp_path / "home"), tmp_path)
        client.run(HURRY)
        for language, block in blocks("python|sh"):
            if language == "python":
                ran.append(client.run(PYTHON.format(block=block)))
            else:
                commands = [line for line in block.splitlines() if line.startswith("ntg ")]
                ran += [client.run(COMMAND.format(line=line)) for line in commands]
        client.close()
        kinds = {kind for kind, _ in hub.repos}
    assert ran[0].startswith("dns [")
    assert "https" in ran[1]
    assert kinds == {"model", "dataset", "space"}
    assert (tmp_path / "own" / "report" / "report.html").stat().st_size > 0


def test_set_up_is_the_two_commands_that_ci_runs():
    ci = (Path(__file__).parents[1] / ".ci" / "run").read_text(encoding="utf-8")
    install, test = (block for _, block in blocks("sh")[:2])
    assert 'pip install -e ".[test]"' in install
    assert 'pip install -q -e ".[test]"' in ci
    assert test.strip().removeprefix(".venv/bin/") in ci
