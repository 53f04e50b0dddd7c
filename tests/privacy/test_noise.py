import numpy as np

from hf_ntg.privacy import noise
from hf_ntg.privacy.noise import SecretNoise


def test_noise_never_repeats_and_the_key_decides_it(monkeypatch):
    assert not np.array_equal(SecretNoise().normal((8,)), SecretNoise().normal((8,)))
    monkeypatch.setattr(noise, "fresh_key", lambda: 7)
    assert np.array_equal(SecretNoise().normal((8,)), SecretNoise().normal((8,)))


def test_noise_has_the_scale_that_was_asked_for():
    made = SecretNoise()
    assert abs(made.normal((40_000,), 3.0).std() - 3.0) < 0.1
    assert abs(made.normal_float32(40_000).std() - 1.0) < 0.04


def test_a_poisson_sample_takes_each_unit_on_its_own():
    made = SecretNoise()
    sizes = [len(made.poisson_sample(1_000, 0.3)) for _ in range(100)]
    assert abs(np.mean(sizes) - 300) < 8
    assert np.std(sizes) > 5  # of varying size
    assert np.array_equal(made.poisson_sample(50, 1.0), np.arange(50))


def test_choose_draws_without_replacement():
    values = np.arange(100, 110)
    assert SecretNoise().choose(values, 20) is values
    drawn = SecretNoise().choose(values, 4)
    assert len(set(drawn)) == 4
    assert set(drawn) <= set(values)
