"""Flows from a diffusion pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.generation.generator import FlowGenerator
from hf_ntg.models.pipeline_flow_diffusion import FlowDiffusionPipeline

__all__ = ["DiffusionFlowGenerator"]


class DiffusionFlowGenerator(FlowGenerator):
    """Denoises signals with `pipeline`, a batch a block."""

    options = ("scheduler", "num_inference_steps", "guidance_scale", "snap")

    def __init__(self, source: Path, pipeline: FlowDiffusionPipeline) -> None:
        processor = pipeline.processor
        super().__init__(source, list(processor.labels), np.array(processor.label_counts, dtype=np.float64))
        self.pipeline, self.block_size = pipeline, pipeline.flows_per_block

    @property
    def device(self) -> torch.device:
        return self.pipeline.device

    def draw(self, classes: np.ndarray, seed: int, block: int, **options) -> FlowArrays:
        """Draw one flow for each of `classes`; `options` as for :meth:`FlowDiffusionPipeline.draw_block`."""
        names = np.array([*self.labels, None], dtype=object)
        return self.pipeline.draw_block(names[classes], seed, block, **options)
