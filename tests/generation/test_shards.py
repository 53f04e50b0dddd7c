import json

import pytest
from datasets import load_dataset

from hf_ntg import FlowGenerator, InputError
from hf_ntg.generation.shards import write_shards


@pytest.fixture
def generator(tiny_gpt2, monkeypatch):
    generator = FlowGenerator.from_pretrained(tiny_gpt2)
    monkeypatch.setattr(type(generator.sampler), "block_size", 10)
    return generator


def read(folder, tmp_path):
    return load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))["train"].to_dict()


def test_shards_of_several_processes_are_the_flows_of_one_request(generator, tmp_path):
    for place in (1, 0):
        write_shards(generator, tmp_path / "flows", 3, 47, seed=5, share=(place, 2))
    names = sorted(path.name for path in (tmp_path / "flows").glob("*.parquet"))
    assert names == [f"train-0000{place}-of-00003.parquet" for place in range(3)]
    assert read(tmp_path / "flows", tmp_path) == generator.generate(47, seed=5).to_dict()


def test_a_killed_process_goes_on_where_it_was(generator, tmp_path, monkeypatch):
    draw, blocks = generator.sampler.draw, []

    def dies_in_the_fourth_block(*given, **options):
        blocks.append(given[2] // 10)
        if len(blocks) == 4:
            raise KeyboardInterrupt
        return draw(*given, **options)

    monkeypatch.setattr(generator.sampler, "draw", dies_in_the_fourth_block)
    with pytest.raises(KeyboardInterrupt):
        write_shards(generator, tmp_path / "flows", 3, 60)
    assert [path.name for path in (tmp_path / "flows").iterdir() if path.suffix != ".json"] == [
        "train-00000-of-00003.parquet"
    ]
    found = []
    write_shards(generator, tmp_path / "flows", 3, 60, on_progress=found.append)
    assert blocks == [0, 1, 2, 3, 2, 3, 4, 5]
    assert found == [20, 20, 20]
    assert read(tmp_path / "flows", tmp_path) == generator.generate(60).to_dict()


def test_a_folder_of_another_request_is_left_alone(generator, tmp_path):
    write_shards(generator, tmp_path, 1, 5, "web")
    with pytest.raises(InputError, match=r"another request \(seed differ\)"):
        write_shards(generator, tmp_path, 1, 5, "web", seed=1)
    assert json.loads((tmp_path / "request.json").read_text())["seed"] == 0


def test_no_flows_are_one_file_without_rows(generator, tmp_path):
    (path,) = write_shards(generator, tmp_path, 4, 0)
    assert path.name == "train-00000-of-00001.parquet"
