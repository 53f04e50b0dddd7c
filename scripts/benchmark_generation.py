"""How fast flows are drawn from a trained causal model, against transformers' own ``generate`` in the same run.

    python scripts/benchmark_generation.py model/ --num-flows 20000

Prints flows a second (median of the repeats after a warm-up), their ratio, how many tokens the prefix tree evaluated in
place of every flow's own, and the share of the machine's measured float32 matrix-product peak. ``--rival`` runs the
command of another generator, in an environment of its own, that says "N flows/s", as ``compare_rivals.py`` does.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess

import numpy as np
import torch
from timing import counted_tokens, machine, matmul_peak, median_seconds

from hf_ntg import FlowGenerator
from hf_ntg.flows.class_mix import class_counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder or Hub id of a causal model")
    parser.add_argument("--num-flows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[256, 1024], help="batch sizes tried for generate")
    parser.add_argument("--rival", help="command of another generator")
    arguments = parser.parse_args()
    generator = FlowGenerator.from_pretrained(arguments.model)
    model = generator.sampler.model
    print(f"{machine()}; {model.config.model_type}, {sum(p.numel() for p in model.parameters()):,} parameters")
    ours = draw(generator, arguments.num_flows, arguments.repeats)
    prompts = first_tokens(generator, max(arguments.batches))
    best = max(stock_rate(model, prompts[:batch, None], arguments.repeats) for batch in arguments.batches)
    print(f"the tree against generate at its best: {ours / best:.1f} times")
    if arguments.rival:
        words = shlex.split(arguments.rival)
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
        rate = float(re.findall(r"([\d,.]+) flows/s", done.stdout)[-1].replace(",", ""))
        print(f"{arguments.rival}: {rate:,.0f} flows/s; ours are {ours / rate:.2f} times as many")


def draw(generator: FlowGenerator, num_flows: int, repeats: int) -> float:
    """Flows a second of the prefix tree."""
    peak, model = matmul_peak(), generator.sampler.model
    with counted_tokens(model) as tokens:
        seconds = median_seconds(lambda: generator.generate(num_flows), repeats)
    evaluated = sum(tokens) / (repeats + 1)  # the warm-up counts too
    lengths = generator.sampler.tokenizer.encode_flows(generator.generate(2_000)).lengths
    flops = 2 * sum(p.numel() for p in model.parameters()) * evaluated
    print(f"prefix tree: {num_flows / seconds:,.0f} flows/s; {evaluated:,.0f} token evaluations in place of")
    print(f"  {num_flows * (lengths.mean() - 1):,.0f}; {flops / seconds / peak:.0%} of {peak / 1e9:.0f} GFLOP/s")
    return num_flows / seconds


def stock_rate(model, prompt: torch.Tensor, repeats: int) -> float:
    """Flows a second of ``generate``, a batch at once."""
    options = {"attention_mask": torch.ones_like(prompt), "do_sample": True, "top_k": 0}
    with torch.inference_mode():
        seconds = median_seconds(lambda: model.generate(prompt, **options), repeats)
    print(f"generate, batches of {len(prompt)}: {len(prompt) / seconds:,.0f} flows/s")
    return len(prompt) / seconds


def first_tokens(generator: FlowGenerator, count: int) -> torch.Tensor:
    """Label tokens in the mix of the training flows."""
    counts = class_counts(count, None, generator.labels, generator.label_weights)
    start = generator.sampler.tokenizer.grammar.blocks["label"].start
    return torch.from_numpy(np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts)) + start)


if __name__ == "__main__":
    main()
