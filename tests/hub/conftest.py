"""A Hub on the loopback, and clients of it: ours, and one without hf_ntg."""

import pytest
from hub_client import HubClient
from loopback_hub import LoopbackHub

from hf_ntg.flows import save_flows
from hf_ntg.flows.provenance import with_command
from hf_ntg.generation import FlowGenerator
from hf_ntg.metrics import evaluate_flows
from hf_ntg.report import write_report


@pytest.fixture(scope="session")
def hub():
    with LoopbackHub() as served:
        yield served


@pytest.fixture(scope="session")
def client(hub, tmp_path_factory):
    """A process with hf_ntg and the token of an account that may write."""
    home = tmp_path_factory.mktemp("home")
    held = HubClient(hub.environment(home), home)
    yield held
    held.close()


@pytest.fixture(scope="session")
def stock(hub, tmp_path_factory):
    """A process in which hf_ntg cannot be imported."""
    home = tmp_path_factory.mktemp("stock")
    held = HubClient(hub.environment(home), home, with_hf_ntg=False)
    yield held
    held.close()


@pytest.fixture(scope="session")
def synthetic(tiny_gpt2, tmp_path_factory):
    """Flows of the tiny GPT-2, as `ntg generate` writes them."""
    path = tmp_path_factory.mktemp("synthetic") / "synthetic.parquet"
    made = FlowGenerator.from_pretrained(tiny_gpt2).generate(90, seed=3)
    save_flows(with_command(made, "ntg generate model --num-flows 90"), path)
    return path


@pytest.fixture(scope="session")
def report(flows, synthetic, tmp_path_factory):
    """report.json of those flows."""
    from hf_ntg import load_flows, split_flows

    parts = split_flows(flows, by="capture")
    result = evaluate_flows(**parts, synthetic=load_flows(synthetic), baselines=("replay",))
    return write_report(result | {"inputs": {"train": "/home/somebody/train.parquet"}}, tmp_path_factory.mktemp("r"))[
        "json"
    ]
