"""DiffusionSampler: draws flows from a diffusion pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.models.pipeline_flow_diffusion import FlowDiffusionPipeline

__all__ = ["DiffusionSampler"]


class DiffusionSampler:
    """Denoises one batch of signals per block with `pipeline`."""

    name = "unet"
    options: tuple[str, ...] = ("scheduler", "num_inference_steps", "guidance_scale", "snap")

    def __init__(self, pipeline: FlowDiffusionPipeline) -> None:
        self.pipeline, self.block_size = pipeline, pipeline.flows_per_block
        self.labels: list[str | None] = list(pipeline.processor.labels)
        self.view, self.max_packets = pipeline.processor.view, pipeline.processor.max_packets
        counts = np.array(pipeline.processor.label_counts, dtype=np.float64)
        self.label_weights = counts / counts.sum()

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.pipeline.device

    def save_pretrained(self, folder: Path) -> None:
        """Write the pipeline into `folder`."""
        self.pipeline.save_pretrained(folder)

    def draw(self, classes: np.ndarray, seed: int, first: int, **options: Any) -> FlowArrays:
        """Draw one flow for each of `classes` (N,); `options` as for :meth:`FlowDiffusionPipeline.draw_block`."""
        names = np.array([*self.labels, None], dtype=object)
        return self.pipeline.draw_block(names[classes], seed, first // self.block_size, **options)
