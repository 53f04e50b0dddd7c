"""Flows and models small enough to make anew in a test run."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # tests need no network
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
# Tiny models gain nothing from a second thread, and threads that spin at barriers starve every other process.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
from small_flows import make_flows


@pytest.fixture(scope="session")
def flows():
    return make_flows()


@pytest.fixture(scope="session")
def tiny_gpt2(flows, tmp_path_factory):
    """Folder of a GPT-2 that saw the flows for a few steps."""
    return _trained(flows, "gpt2", tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_mamba(flows, tmp_path_factory):
    """Folder of a Mamba that saw the flows for a few steps."""
    return _trained(flows, "mamba", tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_unet(flows, tmp_path_factory):
    """Folder of a diffusion model that saw the flows for a few steps."""
    return _trained(flows, "unet", tmp_path_factory)


def _trained(flows, family, tmp_path_factory):
    from hf_ntg import TrainingConfig, train

    folder = tmp_path_factory.mktemp(family)
    settings = {"epochs": 2, "batch_size": 64, "max_packets": 6, "validation_share": 0, "checkpoint_every": 0}
    train(flows, TrainingConfig(model=family, output_dir=str(folder), **settings))
    return folder
