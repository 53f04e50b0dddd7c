from hf_ntg import TrainingConfig
from hf_ntg.study.axes.training_length import shortened


def test_a_share_of_the_recipe():
    config = TrainingConfig(epochs=30, max_steps=1_000, max_memory=0.1)
    half = shortened(config, 0.5)
    assert (half.epochs, half.max_steps, half.max_memory) == (15, 500, None)
    assert shortened(config, 0.0001).epochs == shortened(config, 0.0001).max_steps == 1
    assert shortened(TrainingConfig(epochs=4, max_steps=None), 2).max_steps is None
