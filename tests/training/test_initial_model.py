import pytest

from hf_ntg import InputError, TrainingConfig
from hf_ntg.training.initial_model import initial_settings


def test_a_recipe_takes_family_view_packets_and_sizes_of_the_initial_model(tiny_mamba):
    config = TrainingConfig.recipe(initial_model=str(tiny_mamba), epochs=3)
    assert (config.model, config.view, config.max_packets) == ("mamba", "payload", 6)
    assert (config.width, config.layers, config.epochs) == (128, 6, 3)
    assert TrainingConfig.recipe(initial_model=str(tiny_mamba), max_packets=4).max_packets == 4


def test_another_family_is_refused_before_training(tiny_mamba):
    with pytest.raises(InputError, match="a mamba, which a gpt2 cannot start from; choose model mamba, or none"):
        TrainingConfig.recipe("gpt2", initial_model=str(tiny_mamba))


def test_what_is_no_causal_model_is_refused(tiny_unet, tmp_path):
    with pytest.raises(InputError, match="a diffusion model has no words to carry over"):
        initial_settings(tiny_unet)
    with pytest.raises(InputError, match="no such folder, and neither 'loopback' nor the id of a model"):
        initial_settings("nowhere")
    with pytest.raises(InputError, match="no causal model of hf_ntg to start from"):
        initial_settings(tmp_path)
