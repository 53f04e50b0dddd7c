"""Audit private training: attacks try to break the stated epsilon, and planted flows show what is remembered.

    python scripts/audit_privacy.py bound --attack gradient --runs 1000
    python scripts/audit_privacy.py bound --attack likelihood --runs 400
    python scripts/audit_privacy.py exposure loopback

`bound` trains a tiny model many times, half of the times with one odd flow among the training flows and half without.
An attacker who knows everything else decides from one score which it was. The rates of his errors give a lower bound on
epsilon with 95 % confidence (Clopper and Pearson), which must not exceed the stated epsilon. The attack `likelihood`
sees the finished model; `gradient` sees the noised gradient of a step, which is all that a step lets out.

`exposure` plants unique flows in a table, trains with and without a guarantee, and ranks each planted flow by its
likelihood among random flows that were not planted. Exposure is log2(candidates + 1) - log2(rank): 1.4 on average for a
flow that left no trace, and log2(candidates + 1) for one that was memorised (Carlini et al., The secret sharer, 2019).
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from scipy.stats import beta

from hf_ntg import FlowGenerator, TrainingConfig, load_flows, train
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.view import flows_in_view
from hf_ntg.privacy.noise import SecretNoise
from hf_ntg.training.optimizer import make_optimizer
from hf_ntg.training.private_loop import PrivatePlan, noised_gradient
from hf_ntg.training.private_objective import PrivateObjective

MOST_LENGTH = 40


def odd_and_plain(flows: int) -> FlowArrays:
    """`flows` equal flows, the last of them replaced by an odd one of the same class."""
    plain, odd = [3, 5, 3], [37, 11, 29]
    lengths = np.array(plain * (flows - 1) + odd, dtype=np.int32)
    return FlowArrays(
        offsets=np.arange(flows + 1) * 3,
        payload_length=lengths,
        direction=np.tile(np.array([1, -1, 1], dtype=np.int8), flows),
        label=np.array(["a"] * flows, dtype=object),
    )


def tiny_config(epsilon: float, steps: int, batch_size: int) -> TrainingConfig:
    tiny = {"width": 16, "layers": 1, "max_packets": 3, "max_payload": MOST_LENGTH, "times": False, "header": False}
    more = {"max_steps": steps, "batch_size": batch_size, "learning_rate": 0.02, "ema_decay": 0.0}
    return TrainingConfig.recipe("gpt2", epsilon=epsilon, **tiny | more)


def prepare(flows: int, config: TrainingConfig) -> tuple[PrivateObjective, PrivateObjective, PrivatePlan]:
    """The tiny training with and without the odd flow, which has the same number of units, and its plan."""
    whole = PrivateObjective.prepare(odd_and_plain(flows), config, SecretNoise())
    kept = whole.unit != flows - 1
    return whole, replace(whole, sentences=whole.sentences[:-1], unit=whole.unit[kept]), PrivatePlan(whole, config)


def gradient_scores(runs: int, epsilon: float, flows: int = 4) -> tuple[np.ndarray, np.ndarray, float]:
    """Projections of a noised gradient on that of the odd flow, with and without it in the table; the noise."""
    config = tiny_config(epsilon, 1, 10 * flows)
    whole, rest, plan = prepare(flows, config)
    alone = whole.recorder.gradients(whole.sentences[-1:])
    odd = {parameter: grad / alone.norms()[0] for parameter, grad in alone.weighted(torch.ones(1)).items()}
    noise = SecretNoise()

    def score(objective: PrivateObjective) -> float:
        found = noised_gradient(objective, plan, config, noise)
        return sum(float((found[parameter] * grad).sum()) for parameter, grad in odd.items())

    return np.array([score(whole) for _ in range(runs)]), np.array([score(rest) for _ in range(runs)]), plan.noise


def likelihood_scores(
    runs: int, epsilon: float, flows: int = 8, steps: int = 4
) -> tuple[np.ndarray, np.ndarray, float]:
    """Log-likelihoods of the odd flow under finished models, with and without it in the table; the noise."""
    config = tiny_config(epsilon, steps, flows)
    whole, rest, plan = prepare(flows, config)
    start = {name: value.clone() for name, value in whole.model.state_dict().items()}
    noise = SecretNoise()

    def score(objective: PrivateObjective) -> float:
        objective.model.load_state_dict(start)
        optimizer = make_optimizer(objective.model, config)
        for _ in range(plan.steps):
            for parameter, grad in noised_gradient(objective, plan, config, noise).items():
                parameter.grad = grad
            optimizer.step()
        return -float(objective.recorder.gradients(whole.sentences[-1:]).losses[0])

    return np.array([score(whole) for _ in range(runs)]), np.array([score(rest) for _ in range(runs)]), plan.noise


def lower_bound(inside: np.ndarray, outside: np.ndarray, delta: float, confidence: float = 0.95) -> float:
    """A lower bound on epsilon from scores with and without a unit, at one-sided `confidence`.

    The threshold that gives the best bound on the first half of the runs is used on the second.
    """
    half = len(inside) // 2
    candidates = np.quantile(np.concatenate([inside[:half], outside[:half]]), np.linspace(0.02, 0.98, 97))
    threshold = max(candidates, key=lambda value: _bound_at(value, inside[:half], outside[:half], delta, confidence))
    return max(0.0, _bound_at(threshold, inside[half:], outside[half:], delta, confidence))


def _bound_at(threshold: float, inside: np.ndarray, outside: np.ndarray, delta: float, confidence: float) -> float:
    hits, wrongs = int((inside >= threshold).sum()), int((outside >= threshold).sum())
    risk = (1 - confidence) / 2
    low = beta.ppf(risk, hits, len(inside) - hits + 1) if hits else 0.0
    high = beta.ppf(1 - risk, wrongs + 1, len(outside) - wrongs) if wrongs < len(outside) else 1.0
    return math.log((low - delta) / high) if low > delta else -math.inf


def bound(attack: str, runs: int, epsilon: float) -> dict[str, Any]:
    """The result of one audit, as facts."""
    scores = {"gradient": gradient_scores, "likelihood": likelihood_scores}[attack]
    inside, outside, noise = scores(runs, epsilon)
    apart = (inside.mean() - outside.mean()) / math.sqrt((inside.var() + outside.var()) / 2)
    return {
        "attack": attack,
        "runs": 2 * runs,
        "stated_epsilon": epsilon,
        "lower_bound": round(lower_bound(inside, outside, 1e-5), 3),
        "noise_multiplier": round(noise, 4),
        "standard_deviations_apart": round(float(apart), 4),
    }


def planted(flows: FlowArrays, count: int, rng: np.random.Generator) -> FlowArrays:
    """`count` random flows of 4 packets, with classes of `flows`."""
    labels = np.unique(flows.label.astype(str)).astype(object)
    return FlowArrays(
        offsets=np.arange(count + 1) * 4,
        payload_length=rng.integers(1, 1_461, 4 * count).astype(np.int32),
        direction=rng.choice(np.array([1, -1], dtype=np.int8), 4 * count),
        label=rng.choice(labels, count),
    )


def exposure(
    source: str, epsilon: float, size: int, canaries: int, candidates: int, steps: int, seed: int
) -> list[dict]:
    """Mean exposure of planted flows, with and without a guarantee."""
    rng = np.random.default_rng(seed)
    seen = flows_in_view(load_flows(source), "payload")[0]
    table = FlowArrays(seen.offsets, seen.payload_length, seen.direction, seen.label)
    table = table.take(rng.permutation(len(table))[:size])
    odd = planted(table, canaries, rng)
    parts = [table.to_dataset(), odd.to_dataset()]
    rows = {
        name: [value for part in parts for value in part[name]] for name in ("label", "payload_length", "direction")
    }
    flows, found = Dataset.from_dict(rows), []
    sizes = {"width": 64, "layers": 2, "times": False, "header": False, "seed": seed}
    for name, settings in (
        ("none", {"max_memory": None, "max_steps": steps, "dropout": 0.0}),
        (f"{epsilon:g}", {"epsilon": epsilon, "batch_size": size // 4, "max_steps": min(steps, 60)}),
    ):
        with tempfile.TemporaryDirectory() as folder:
            train(flows, TrainingConfig.recipe("gpt2", output_dir=f"{folder}/model", **sizes | settings))
            generator = FlowGenerator.from_pretrained(f"{folder}/model")
            others = generator.log_likelihood(replace(planted(table, candidates, rng), view="payload"))
            own = generator.log_likelihood(replace(odd, view="payload"))
        ranks = 1 + (others[None] > own[:, None]).sum(axis=1)
        bits = math.log2(candidates + 1) - np.log2(ranks)
        found.append({"epsilon": name, "canaries": canaries, "exposure_bits": round(float(bits.mean()), 2)})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    part = commands.add_parser("bound")
    part.add_argument("--attack", choices=("gradient", "likelihood"), default="gradient")
    part.add_argument("--runs", type=int, default=1_000, help="with the odd flow, and as many without")
    part.add_argument("--epsilon", type=float, default=2.0)
    part = commands.add_parser("exposure")
    part.add_argument("flows", help="flow table or 'loopback'")
    part.add_argument("--epsilon", type=float, default=8.0)
    part.add_argument("--size", type=int, default=600, help="flows beside the planted ones")
    part.add_argument("--canaries", type=int, default=20)
    part.add_argument("--candidates", type=int, default=2_000)
    part.add_argument("--steps", type=int, default=600)
    part.add_argument("--seed", type=int, default=0)
    args = vars(parser.parse_args())
    if args.pop("command") == "bound":
        print(json.dumps(bound(**args)))
    else:
        for line in exposure(args.pop("flows"), **args):
            print(json.dumps(line))


if __name__ == "__main__":
    main()
