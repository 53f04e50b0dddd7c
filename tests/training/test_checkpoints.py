import json
import struct

import pytest
import torch

from hf_ntg import InputError
from hf_ntg.training.checkpoints import newest_checkpoint, read_checkpoint, write_checkpoint


def optimizer_after_a_step():
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return optimizer


def test_tensors_numbers_and_keys_come_back_bit_for_bit(tmp_path):
    state = {"optimizer": optimizer_after_a_step().state_dict(), "history": [{"epoch": 1, "loss": 0.1 + 0.2}]}
    write_checkpoint(tmp_path, 7, state)
    found = read_checkpoint(tmp_path, newest_checkpoint(tmp_path))
    assert found["history"] == state["history"]
    for number, moments in state["optimizer"]["state"].items():
        for name, value in moments.items():
            assert torch.equal(found["optimizer"]["state"][number][name], value)
    group = found["optimizer"]["param_groups"][0]
    assert group["lr"] == 0.1
    assert tuple(group["betas"]) == (0.9, 0.999)


def test_tensors_that_share_memory_are_written(tmp_path):
    weight = torch.arange(4.0)
    write_checkpoint(tmp_path, 1, {"embedding": weight, "head": weight})
    assert torch.equal(read_checkpoint(tmp_path, 1)["head"], weight)


def test_only_the_newest_is_kept(tmp_path):
    for epoch in (1, 2, 10):
        write_checkpoint(tmp_path, epoch, {"step": torch.tensor(epoch)})
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-10.safetensors"]
    (tmp_path / "epoch-11").mkdir()
    assert newest_checkpoint(tmp_path) == 10


def with_state(text):
    header = json.dumps({"__metadata__": {"hf_ntg.state": text}}).encode()
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\x80\x04cos\nsystem\n(S'false'\ntR.",
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        with_state("[" * 100_000),
        with_state('{"names": {"a": {"$tensor": "gone"}}}'),
        with_state('{"a": 1, "b": 2}'),
        with_state('{"names": 3}'),
    ],
)
def test_damaged_checkpoint_is_one_line(tmp_path, damage):
    (tmp_path / "epoch-1.safetensors").write_bytes(damage)
    with pytest.raises(InputError, match=r"^.*the checkpoint is damaged.*$") as caught:
        read_checkpoint(tmp_path, 1)
    assert "\n" not in str(caught.value)
