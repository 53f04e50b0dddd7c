"""The bad command lines of scripts/attack_models.py: options out of range, and output places that cannot be written."""

from __future__ import annotations

from pathlib import Path

__all__ = ["COMMANDS", "place_words"]

COMMANDS = (
    "train TABLE --output OUT --learning-rate nan",
    "train TABLE --output OUT --learning-rate inf",
    "train TABLE --output OUT --learning-rate -1",
    "train TABLE --output OUT --learning-rate 0",
    "train TABLE --output OUT --learning-rate 1e999",
    "train TABLE --output OUT --epochs 0",
    "train TABLE --output OUT --epochs 1.5",
    "train TABLE --output OUT --epochs 99999999999999999999999",
    "train TABLE --output OUT --batch-size 0",
    "train TABLE --output OUT --batch-size -5",
    "train TABLE --output OUT --max-packets 1000000000",
    "train TABLE --output OUT --max-packets 0",
    "train TABLE --output OUT --dropout 1",
    "train TABLE --output OUT --dropout nan",
    "train TABLE --output OUT --weight-decay inf",
    "train TABLE --output OUT --validation-share 1",
    "train TABLE --output OUT --validation-share nan",
    "train TABLE --output OUT --max-steps 0",
    "train TABLE --output OUT --max-grad-norm 0",
    "train TABLE --output OUT --seed -1",
    "train TABLE --output OUT --seed 4294967296",
    "train TABLE --output OUT --seed x",
    "train TABLE --output OUT --model rnn",
    "train TABLE --output OUT --keep worst",
    "train TABLE --output OUT --keep best",
    "train TABLE --output OUT --mixed-precision int4",
    "train TABLE --output OUT --tracker evil",
    "train TABLE --output OUT --initial-model /no/such/folder",
    "train TABLE --output OUT --initial-model UNET",
    "train TABLE --output OUT --model unet --initial-model UNET",
    "train TABLE --output OUT --no-such-option",
    "train TABLE --output MODEL --epochs 3",
    "train TABLE",
    "train /no/such/table.parquet --output OUT",
    "generate MODEL --output OUT.parquet",
    "generate MODEL --output OUT.parquet --num-flows -1",
    "generate MODEL --output OUT.parquet --num-flows nan",
    "generate MODEL --output OUT.parquet --num-flows 1e3",
    "generate MODEL --output OUT.txt --num-flows 5",
    "generate MODEL --output OUT.parquet --num-flows 5 --temperature 0",
    "generate MODEL --output OUT.parquet --num-flows 5 --temperature nan",
    "generate MODEL --output OUT.parquet --num-flows 5 --temperature -inf",
    "generate MODEL --output OUT.parquet --num-flows 5 --steps 5",
    "generate UNET --output OUT.parquet --num-flows 5 --steps 0",
    "generate UNET --output OUT.parquet --num-flows 5 --steps 1000000000",
    "generate UNET --output OUT.parquet --num-flows 5 --temperature 1",
    "generate UNET --output OUT.parquet --num-flows 5 --scheduler evil",
    "generate MODEL --output OUT.parquet --num-flows 5 --label nobody",
    "generate MODEL --output OUT.parquet --num-flows 5 --like TABLE",
    "generate MODEL --output OUT.parquet --like /no/such.parquet",
    "generate MODEL --output OUT.parquet --num-flows 5 --seed -1",
    "generate MODEL --output OUT.parquet --num-flows 5 --num-proc 0",
    "generate MODEL --output OUT.parquet --num-flows 5 --num-proc 1000000",
    "generate MODEL --output OUT.parquet --num-flows 5 --device cuda:99",
    "generate MODEL --output OUT.parquet --num-flows 5 --device evil",
    "generate MODEL --output OUT --num-flows 5 --num-shards 0",
    "generate MODEL --output OUT --num-flows 5 --num-shards 2 --shard 2/2",
    "generate MODEL --output OUT --num-flows 5 --num-shards 2 --shard -1/2",
    "generate MODEL --output OUT --num-flows 5 --num-shards 2 --steps 3",
    "generate TABLE --output OUT.parquet --num-flows 5",
    "generate /no/such/model --output OUT.parquet --num-flows 5",
    "generate a/b/c --output OUT.parquet --num-flows 5",
    "split TABLE --output OUT --test-size 0",
    "split TABLE --output OUT --test-size 1",
    "split TABLE --output OUT --test-size nan",
    "split TABLE --output OUT --by day",
    "split TABLE --output OUT --seed 1.5",
    "export TABLE --output OUT.pcap --rate 0",
    "export TABLE --output OUT.pcap --rate nan",
    "export TABLE --output OUT.pcap --mss 0",
    "export TABLE --output OUT.pcap --mark -1",
    "export TABLE --output OUT.pcap --clients evil",
    "export TABLE --output OUT.pcap --clients 8.8.8.0/24",
    "export TABLE --output OUT.doc",
    "import TABLE --output OUT.parquet --max-packets 0",
    "import TABLE --output OUT.parquet --idle-timeout nan",
    "import TABLE --output OUT.parquet --idle-timeout -1",
    "import TABLE --output OUT.parquet --num-proc 0",
    "import /no/such/capture.pcap --output OUT.parquet",
    "evaluate --train TABLE --test TABLE --synthetic TABLE --output OUT --max-packets 0",
    "evaluate --train TABLE --test /no/such --synthetic TABLE --output OUT",
    "demo --port 0",
    "demo --port 70000",
    "demo --port evil",
    "study TABLE --output OUT --models evil",
    "study TABLE --output OUT --seeds x",
    "study TABLE --output OUT --shard 3/2",
    "quickstart --epochs 0 --output OUT",
    "quickstart --flows /no/such --output OUT",
    "publish /no/such org/name --dry-run",
    "nonsense",
    "--nonsense",
    "split TABLE --quiet --verbose --output OUT",
)
"""Command lines that must end with exit code 2 and one line."""


def place_words(scratch: Path, turn: int, table: Path, model: Path) -> tuple[str, list]:
    """A command whose output place cannot be written; what it is, and its words."""
    file, loop = scratch / "file", scratch / "loop"
    file.write_text("in the way")
    loop.symlink_to(loop)
    (scratch / "folder.parquet").mkdir()
    (scratch / "dangling").symlink_to(scratch / "gone" / "deeper")
    places = {
        "a file in the place of the folder": file,
        "a file in the place of a parent": file / "below" / "m",
        "a name that is too long": scratch / ("n" * 300),
        "a path that is too long": scratch.joinpath(*["d" * 200] * 30),
        "a link to itself": loop / "m",
        "no valid name": scratch / "a\0b",
        "not a place for files": Path("/proc/self/m"),
        "a device": Path("/dev/null/m"),
    }
    commands = {
        "train": lambda place: ["train", table, "--output", place, "--epochs", 1],
        "generate": lambda place: ["generate", model, "--num-flows", 3, "--output", f"{place}/flows.parquet"],
        "shards": lambda place: ["generate", model, "--num-flows", 3, "--num-shards", 1, "--output", place],
        "split": lambda place: ["split", table, "--output", place],
        "export": lambda place: ["export", table, "--output", f"{place}/flows.pcap"],
        "import": lambda place: ["import", table, "--output", f"{place}/flows.parquet"],
        "evaluate": lambda place: [
            "evaluate", "--train", table, "--test", table, "--synthetic", table, "--output", place,
        ],
    }  # fmt: skip
    command = list(commands)[turn % len(commands)]
    what = list(places)[(turn // len(commands)) % len(places)]
    return f"{command} into {what}", commands[command](places[what])
