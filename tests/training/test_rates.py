import pytest

from hf_ntg.training import TrainingConfig
from hf_ntg.training.rates import rate_curve

CONFIG = TrainingConfig(warmup=0.1, final_rate=0.1)


def rates(history, steps=10, epochs=10):
    return [rate_curve(CONFIG, steps * epochs, steps, history)(step) for step in range(steps * epochs)]


def test_without_a_memory_limit_the_rate_rises_and_falls_along_a_cosine():
    found = rates([])
    assert found[0] == pytest.approx(0.1)
    assert found[9] == pytest.approx(1.0)
    assert found[9:] == sorted(found[9:], reverse=True)
    assert found[55] == pytest.approx(0.55)
    assert found[-1] == pytest.approx(0.1, abs=0.01)


def test_the_rate_follows_memory_where_more_of_it_is_used_than_of_the_steps():
    # After two of ten epochs, half of the memory is used, and a fifth more in every epoch.
    history = [{"memory_used": 0.3}, {"memory_used": 0.5}]
    curve = rate_curve(CONFIG, 100, 10, history)
    assert curve(20) == pytest.approx(0.55)
    assert curve(25) < curve(20)
    history.append({"memory_used": 0.6})
    assert curve(30) == pytest.approx(rate_curve(CONFIG, 100, 10, [])(64), abs=1e-3)


def test_a_model_that_remembers_little_follows_the_steps():
    assert rates([{"memory_used": 0.01}])[10:20] == pytest.approx(rates([])[10:20], abs=1e-3)


def test_used_up_memory_leaves_the_final_rate():
    assert rate_curve(CONFIG, 100, 10, [{"memory_used": 10.0}])(10) == pytest.approx(0.1)
