"""How fast flows are drawn from a trained causal model, against transformers' own ``generate`` in the same run.

    python scripts/benchmark_generation.py model/ --num-flows 20000

Prints flows a second (median of the repeats after a warm-up), their ratio, how many tokens the prefix tree evaluated in
place of every flow's own, and the share of the machine's measured float32 matrix-product peak.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import transformers

from hf_ntg import FlowGenerator
from hf_ntg.flows.class_mix import class_counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder or Hub id of a causal model")
    parser.add_argument("--num-flows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[256, 1024], help="batch sizes tried for generate")
    arguments = parser.parse_args()
    generator = FlowGenerator.from_pretrained(arguments.model)
    model, tokenizer = generator.model, generator.tokenizer
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {torch.get_num_threads()} threads,")
    print(f"{platform.machine()}, {model.config.model_type}, {sum(p.numel() for p in model.parameters()):,} parameters")
    peak = matmul_peak()
    with counted_evaluations(model) as tokens:
        ours = median_seconds(lambda: generator.generate(arguments.num_flows), arguments.repeats)
    evaluated = sum(tokens) / (arguments.repeats + 1)  # the warm-up counts too
    lengths = tokenizer.encode_flows(generator.generate(2_000)).lengths
    flops = 2 * (sum(p.numel() for p in model.parameters())) * evaluated
    print(f"prefix tree: {arguments.num_flows / ours:,.0f} flows/s; {evaluated:,.0f} token evaluations in place of")
    print(f"{arguments.num_flows * (lengths.mean() - 1):,.0f}; {flops / ours / peak:.0%} of {peak / 1e9:.0f} GFLOP/s")
    labels = first_tokens(generator, max(arguments.batches))
    best = 0.0
    for batch in arguments.batches:
        prompt = labels[:batch, None]
        seconds = median_seconds(lambda prompt=prompt: stock_generate(model, prompt), arguments.repeats)
        best = max(best, batch / seconds)
        print(f"generate, batches of {batch}: {batch / seconds:,.0f} flows/s")
    print(f"prefix tree against generate at its best: {arguments.num_flows / ours / best:.1f} times")


def stock_generate(model, prompt: torch.Tensor) -> None:
    with torch.inference_mode():
        model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=True, top_k=0)


def first_tokens(generator: FlowGenerator, count: int) -> torch.Tensor:
    """Label tokens in the mix of the training flows."""
    counts = class_counts(count, None, generator.labels, generator.label_weights)
    start = generator.tokenizer.grammar.blocks["label"].start
    return torch.from_numpy(np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts)) + start)


@contextmanager
def counted_evaluations(model) -> Iterator[list[int]]:
    """A list that grows by the tokens of every step of the prefix tree."""
    tokens: list[int] = []
    hook = model.base_model.register_forward_pre_hook(
        lambda _, __, inputs: tokens.append(inputs["input_ids"].numel()), with_kwargs=True
    )
    yield tokens
    hook.remove()


def median_seconds(job, repeats: int) -> float:
    job()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        job()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def matmul_peak(size: int = 2_048) -> float:
    """Floating-point operations a second of a float32 matrix product."""
    one, other = torch.randn(size, size), torch.randn(size, size)
    return 2 * size**3 / median_seconds(lambda: one @ other, 5)


if __name__ == "__main__":
    main()
