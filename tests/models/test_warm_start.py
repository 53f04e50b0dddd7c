import numpy as np
import pytest
import torch
from small_flows import make_flows

from hf_ntg import InputError, TrainingConfig, train
from hf_ntg.codecs import FlowTokenizer
from hf_ntg.models import build_causal_lm, load_causal_lm
from hf_ntg.models.warm_start import matching_words, start_from


def other_flows():
    flows = make_flows(seed=5)
    renamed = {"web": "mail", "dns": "dns", "a chat & more": "ssh"}
    return flows.map(lambda row: {"label": renamed[row["label"]]})


@pytest.mark.parametrize("family", ["gpt2", "mamba"])
def test_shared_words_take_their_rows_over(family, request):
    folder = request.getfixturevalue(f"tiny_{family}")
    old, old_tokenizer = load_causal_lm(folder), FlowTokenizer.from_pretrained(folder)
    tokenizer = FlowTokenizer.fit(other_flows(), max_packets=6)
    model = build_causal_lm(family, tokenizer)
    start_from(model, tokenizer, folder)
    new_rows, old_rows = model.get_input_embeddings().weight, old.get_input_embeddings().weight
    for word in ("-1460", "+517", "udp", "<dns>", "<eos>"):
        places = (tokenizer.convert_tokens_to_ids(word), old_tokenizer.convert_tokens_to_ids(word))
        assert torch.equal(new_rows[places[0]], old_rows[places[1]]), word
    names = dict(old.named_parameters())
    for name, parameter in model.named_parameters():
        if parameter is not new_rows:
            assert torch.equal(parameter, names[name]), name
    labels = [tokenizer.convert_tokens_to_ids(word) for word in ("<mail>", "<ssh>")]
    assert not torch.equal(new_rows[labels[0]], new_rows[labels[1]])


def test_time_bins_go_by_their_times(tiny_gpt2):
    old = FlowTokenizer.from_pretrained(tiny_gpt2).grammar
    new = FlowTokenizer.fit(other_flows(), max_packets=6, time_bins=8).grammar
    rows, _ = matching_words(new, old)
    bins = rows[new.blocks["time"]] - old.blocks["time"].start
    assert bins[0] == 0
    far = np.abs(np.log(new.time_bins.edges[:, None] / old.time_bins.edges))
    np.testing.assert_array_equal(np.take_along_axis(far, bins[1:, None] - 1, axis=1)[:, 0], far.min(axis=1))


def test_training_starts_there(tiny_gpt2, tmp_path):
    settings = {"max_packets": 6, "epochs": 1, "checkpoint_every": 0, "ema_decay": 0, "batch_size": 64}
    losses = {}
    for start in (None, str(tiny_gpt2)):
        config = TrainingConfig("gpt2", str(tmp_path / "model"), initial_model=start, learning_rate=1e-6, **settings)
        config.overwrite = True
        losses[start] = train(make_flows(), config).training_run["history"][0]["loss"]
    assert losses[str(tiny_gpt2)] < 0.9 * losses[None]


def test_what_cannot_be_started_from(tiny_gpt2, tmp_path):
    tokenizer = FlowTokenizer.fit(other_flows(), max_packets=6)
    with pytest.raises(InputError, match="a gpt2, which a llama cannot start from"):
        start_from(build_causal_lm("llama", tokenizer), tokenizer, tiny_gpt2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no causal model of hf_ntg"):
        start_from(build_causal_lm("gpt2", tokenizer), tokenizer, tmp_path / "empty")
    with pytest.raises(InputError, match="unet has no words"):
        TrainingConfig("unet", initial_model=str(tiny_gpt2))
    with pytest.raises(InputError, match="its width is 128, not 64; leave out width and layers"):
        start_from(build_causal_lm("gpt2", tokenizer, width=64), tokenizer, tiny_gpt2)


def test_another_view_is_said(tiny_gpt2):
    tokenizer = FlowTokenizer.fit(other_flows(), max_packets=6, view="all")
    sizes = load_causal_lm(tiny_gpt2).config
    model = build_causal_lm("gpt2", tokenizer, width=sizes.n_embd, layers=sizes.n_layer)
    with pytest.warns(UserWarning, match="it learned the packet view 'payload', and this training uses 'all'"):
        start_from(model, tokenizer, tiny_gpt2)
