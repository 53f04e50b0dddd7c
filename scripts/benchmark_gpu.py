"""One table of what a device does with a causal model: generation, its exactness, and training.

    python scripts/benchmark_gpu.py model/ loopback --device cuda
    python scripts/benchmark_gpu.py model/ loopback --device cuda --nodes 512 4096 16384 65536

- generation: flows a second without and with inter-arrival times (median of the repeats after a warm-up), and the share
  of the device's measured float32 matrix-product peak, for each number of prefixes that are evaluated at once;
- exactness: the share of flows that the device draws as the CPU does from the same seed, which should be all, and the
  largest difference of the log-likelihood of real flows;
- training: flows a second of the recipe's step for each batch size, and the share of the peak; and with ``--train``,
  seconds of the whole recipe.

It takes a few minutes on a GPU of a data centre. Matrix products are in float32 throughout; TF32 is off.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import numpy as np
import torch
from datasets import Dataset
from timing import counted_tokens, device_name, machine, matmul_peak, median_seconds, wait_for

from hf_ntg import FlowGenerator, TrainingConfig, load_flows, train
from hf_ntg.flows.view import flows_in_view
from hf_ntg.generation import prefix_tree
from hf_ntg.training.objective_causal import CausalObjective
from hf_ntg.training.optimizer import make_optimizer


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder or Hub id of a causal model")
    parser.add_argument("flows", help="real flows with the model's classes, or 'loopback'")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--num-flows", type=int, default=262_144, help="drawn in a repeat")
    parser.add_argument("--compared", type=int, default=8_192, help="flows that the CPU draws too")
    parser.add_argument("--nodes", type=int, nargs="+", help="prefixes evaluated at once; the default of the device")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256, 1024, 4096], help="flows of a step")
    parser.add_argument("--steps", type=int, default=50, help="training steps that are timed")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--peak-size", type=int, default=8_192, help="rows of the matrices that the peak is measured with"
    )
    parser.add_argument("--train", action="store_true", help="train the whole recipe too")
    arguments = parser.parse_args(given)
    torch.backends.cuda.matmul.allow_tf32 = False
    device = torch.device(arguments.device)
    peak = matmul_peak(arguments.peak_size, device)
    flows = load_flows(arguments.flows)
    generator = FlowGenerator.from_pretrained(arguments.model, device=arguments.device)
    print(f"{device_name(device)}: {peak / 1e12:.2f} TFLOP/s in float32; {machine()}")
    print("\n| | | flows/s | of the peak |\n|---|---|--:|--:|")
    time_generation(generator, arguments, peak)
    time_training(flows, generator.sampler.name, device, arguments, peak)
    print("\n| exactness | |\n|---|--:|")
    compare_devices(generator, FlowGenerator.from_pretrained(arguments.model), flows, arguments.compared)
    if arguments.train:
        time_recipe(flows, generator.sampler.name)


def time_generation(generator: FlowGenerator, arguments: argparse.Namespace, peak: float) -> None:
    """Rows of the table: flows a second, and the share of the peak that the weights' products take."""
    model, device = generator.sampler.model, generator.device
    default = prefix_tree.nodes_at_once(device, generator.sampler.tokenizer.grammar.max_tokens)
    weights = sum(p.numel() for p in model.parameters())
    for nodes in arguments.nodes or [default]:
        generator.sampler.max_nodes = nodes
        for times, name in ((False, "packets only"), (True, "with times")):
            if times and not generator.sampler.tokenizer.grammar.has_times:
                continue

            def draw(times: bool = times) -> None:
                for _ in generator.stream(arguments.num_flows, times=times):
                    pass

            with counted_tokens(model) as tokens:
                seconds = median_seconds(draw, arguments.repeats)
            share = 2 * weights * sum(tokens) / (arguments.repeats + 1) / seconds / peak
            print(
                f"| generation, {name} | {nodes:,} nodes | {arguments.num_flows / seconds:,.0f} | {share:.0%} |",
                flush=True,
            )
    generator.sampler.max_nodes = default


def time_training(
    flows: Dataset, family: str, device: torch.device, arguments: argparse.Namespace, peak: float
) -> None:
    """Rows of the table: flows a second of training steps of the recipe."""
    config = TrainingConfig.recipe(family)
    seen, _ = flows_in_view(flows, config.view)
    for size in arguments.batches:
        objective = CausalObjective(config, seen, None)
        objective.module.to(device).train()
        optimizer = make_optimizer(objective.module, config)
        run_steps(objective, optimizer, device, size, 3)
        started = time.perf_counter()
        tokens = run_steps(objective, optimizer, device, size, arguments.steps)
        seconds = time.perf_counter() - started
        weights = sum(p.numel() for p in objective.module.model.parameters())
        rate = min(size, objective.num_examples) * arguments.steps / seconds
        share = 6 * weights * tokens / seconds / peak
        print(f"| training step | batch of {size:,} | {rate:,.0f} | {share:.0%} |", flush=True)


def run_steps(
    objective: CausalObjective, optimizer: torch.optim.Optimizer, device: torch.device, size: int, count: int
) -> int:
    """`count` steps of `size` random flows each; returns the tokens that the model evaluated."""
    rng, tokens = np.random.default_rng(0), 0
    for _ in range(count):
        rows = rng.permutation(objective.num_examples)[:size]
        batch = {name: part.to(device) for name, part in objective.collate(rows, rng).items()}
        tokens += batch["sentences"].numel()
        objective.module(**batch).backward()
        optimizer.step()
        optimizer.zero_grad()
    wait_for(device)
    return tokens


def compare_devices(own: FlowGenerator, cpu: FlowGenerator, flows: Dataset, count: int) -> None:
    """Rows of the table: whether the device draws and scores what the CPU does."""
    drawn = [generator.generate(count, seed=1) for generator in (own, cpu)]
    for column in ("payload_length", "direction", "inter_arrival_time"):
        if all(column in table.column_names for table in drawn):
            pairs = zip(*(table[column] for table in drawn), strict=True)
            same = np.mean([np.array_equal(one, other) for one, other in pairs])
            print(f"| flows with the CPU's {column}, of {count:,} | {same:.4%} |")
    seen, _ = flows_in_view(flows, own.view)
    asked = seen.take(np.random.default_rng(0).permutation(len(seen))[:count])
    one, other = (generator.log_likelihood(asked) for generator in (own, cpu))
    print(
        f"| nats between the log-likelihoods, at most, of {len(asked):,} real flows | {np.abs(one - other).max():.1e} |"
    )


def time_recipe(flows: Dataset, family: str) -> None:
    """Train the whole recipe on the device that Accelerate picks."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = train(flows, TrainingConfig.recipe(family, output_dir=folder, checkpoint_every=0)).training_run
    seconds = time.perf_counter() - started
    print(f"\nthe whole recipe: {seconds:.0f} s for {run['steps']:,} steps, {run['epochs']} epochs")


if __name__ == "__main__":
    main()
