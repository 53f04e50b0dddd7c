"""What goes wrong with a Hub reaches the user as one line; what broke off is run again."""

import os
import subprocess
import sys

import pytest
from hub_client import ROOT, HubClient
from loopback_hub import READER

PUSH = """
from hf_ntg.hub import Destination, publish_model
print(publish_model({model!r}, Destination({repo!r}, **{options!r})).commit)
"""
LOAD = """
from hf_ntg import FlowGenerator
print(len(FlowGenerator.from_pretrained({repo!r}, **{options!r}).generate(3)))
"""


@pytest.fixture(scope="module")
def published(client, tiny_gpt2):
    client.run(PUSH.format(model=str(tiny_gpt2), repo="org/here", options={}))
    return "org/here"


@pytest.fixture(scope="module")
def anonymous(hub, tmp_path_factory):
    home = tmp_path_factory.mktemp("anonymous")
    held = HubClient(hub.environment(home, token=None), home)
    yield held
    held.close()


def test_wrong_and_weak_tokens(client, tiny_gpt2):
    client.run(PUSH.format(model=str(tiny_gpt2), repo="org/unseen", options={}))
    for token, said in (("hf_wrong", "does not know this token"), (READER, "the Hub forbids it")):
        line = client.refused(PUSH.format(model=str(tiny_gpt2), repo="org/new", options={"token": token}))
        assert said in line
        assert token not in line
    assert "does not know this token" in client.refused(LOAD.format(repo="org/unseen", options={"token": "hf_wrong"}))


def test_missing_private_and_gated_repositories(client, anonymous, hub, tiny_gpt2):
    assert "no such model on the Hub" in client.refused(LOAD.format(repo="org/gone", options={}))
    assert "doesn't exist on the Hub or cannot be accessed" in client.refused(
        "from hf_ntg import load_flows; load_flows('org/gone')"
    )
    client.run(PUSH.format(model=str(tiny_gpt2), repo="org/mine", options={"private": True}))
    assert hub.repos["model", "org/mine"].private
    assert "or a private one" in anonymous.refused(LOAD.format(repo="org/mine", options={}))
    client.run(PUSH.format(model=str(tiny_gpt2), repo="org/gated", options={}))
    hub.repos["model", "org/gated"].gated = True
    assert "a gated model: ask for access" in anonymous.refused(LOAD.format(repo="org/gated", options={}))
    assert client.run(LOAD.format(repo="org/gated", options={})) == "3\n"
    assert client.run(LOAD.format(repo="org/mine", options={})) == "3\n"


def test_a_revision_is_pinned(client, hub, published, tiny_gpt2, tiny_mamba):
    client.run(PUSH.format(model=str(tiny_gpt2), repo="org/two", options={}))
    first = hub.repos["model", "org/two"].branches["main"]
    client.run(PUSH.format(model=str(tiny_mamba), repo="org/two", options={"revision": "next"}))
    kinds = {"main": "gpt2", "next": "mamba", first: "gpt2"}
    for revision, kind in kinds.items():
        assert (
            client.run(f"""
from hf_ntg import FlowGenerator
print(FlowGenerator.from_pretrained("org/two", revision={revision!r}).sampler.model.config.model_type)
""")
            == f"{kind}\n"
        )
    assert "no such revision" in client.refused(LOAD.format(repo="org/two", options={"revision": "never"}))


def test_an_interrupted_upload_is_run_again(client, hub, tiny_unet, synthetic, tmp_path):
    code = f"""
from hf_ntg.hub import Destination, lay_out_dataset
from hf_ntg.hub.upload import send_folder
from pathlib import Path
folder = Path({str(tmp_path / "new")!r})
if not folder.exists():
    lay_out_dataset({str(synthetic)!r}, folder, "org/broken", flows_per_shard=10)
send_folder(folder, "dataset", Destination("org/broken"))
"""
    hub.uploads.clear()
    hub.fail_after = 4
    try:
        assert "the line broke" in client.refused(code)
    finally:
        hub.fail_after = None
    repo = hub.repos["dataset", "org/broken"]
    assert not any(name.endswith(".parquet") for name in repo.at("main")[1])  # nothing half done
    sent = set(hub.uploads)
    assert 0 < len(sent) < 9
    hub.uploads.clear()
    client.run(code)
    assert not sent & set(hub.uploads)  # what arrived is not sent twice
    assert sum(name.endswith(".parquet") for name in repo.at("main")[1]) == 9


@pytest.mark.slow
def test_offline_from_the_cache(hub, client, published, synthetic, tmp_path_factory):
    client.run(f"""
from hf_ntg.hub import Destination, publish_dataset
publish_dataset({str(synthetic)!r}, Destination("org/offline-flows"))
""")
    flows = "from hf_ntg import load_flows; print(len(load_flows('org/offline-flows')))"
    home = tmp_path_factory.mktemp("offline")
    online = HubClient(hub.environment(home), home)
    online.run(LOAD.format(repo=published, options={}))
    online.run(flows)
    online.close()
    offline = HubClient(hub.environment(home, offline=True), home)
    assert offline.run(LOAD.format(repo=published, options={})) == "3\n"
    assert offline.run(flows) == "90\n"
    assert (
        offline.run(f"""
from transformers import AutoModelForCausalLM, AutoTokenizer
AutoTokenizer.from_pretrained({published!r})
print(type(AutoModelForCausalLM.from_pretrained({published!r})).__name__)
""")
        == "GPT2LMHeadModel\n"
    )
    assert "offline mode is on" in offline.refused(LOAD.format(repo="org/never-fetched", options={}))
    assert "offline mode is on" in offline.refused(
        "from hf_ntg.hub import Destination, publish_metric; publish_metric('flow_jsd', Destination('org/x'))"
    )
    offline.close()


@pytest.mark.slow
def test_no_network(hub, tiny_gpt2, tmp_path):
    away = HubClient(hub.environment(tmp_path) | {"HF_ENDPOINT": "http://127.0.0.1:9"}, tmp_path)
    assert "cannot be reached" in away.refused(LOAD.format(repo="org/x", options={}))
    assert "cannot be reached" in away.refused(PUSH.format(model=str(tiny_gpt2), repo="org/x", options={}))
    away.close()


@pytest.mark.slow
def test_the_command(hub, tiny_gpt2, tmp_path):
    def ntg(*words):
        environment = {**os.environ, **hub.environment(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "hf_ntg.cli", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
        return done.returncode, done.stdout, done.stderr

    status, said, _ = ntg("publish", tiny_gpt2, "org/by-command", "--dry-run", "--trained-on", "a lab")
    assert (status, ("model", "org/by-command") in hub.repos) == (0, False)
    assert "nothing was sent" in said
    assert "a lab" in (tmp_path / "by-command" / "README.md").read_text()
    status, said, _ = ntg("publish", tiny_gpt2, "org/by-command", "--private")
    assert status == 0
    assert said.startswith(f"{hub.url}/org/by-command: 9 files")
    assert hub.repos["model", "org/by-command"].private
    status, said, trouble = ntg("publish", tmp_path, "org/x")
    assert (status, said) == (2, "")
    assert trouble.count("ntg: ") == 1
