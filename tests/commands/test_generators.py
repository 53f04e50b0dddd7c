from hf_ntg.commands.generators import _in_words


def test_the_last_epoch_is_said_in_plain_numbers():
    record = {"epoch": 2, "loss": 7.81234, "memory_excess": -4.461e-11, "memory_used": 10.0}
    assert list(_in_words(record)) == ["epoch 2", "loss 7.812", "copies above real: 0.0 points"]
    assert list(_in_words({"memory_excess": 0.0123})) == ["copies above real: 1.2 points"]
