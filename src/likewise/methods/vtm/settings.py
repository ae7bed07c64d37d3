"""The settings of VTM."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from likewise.errors import UsageError
from likewise.methods.base import MethodSettings
from likewise.methods.vtm.pooling import FINENESSES, Fineness, Pooling
from likewise.methods.vtm.tuning import TuningSettings

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class VtmSettings(MethodSettings):
    """The settings of VTM; defaults of the published code where it has them.

    side: of the square that the networks see at once, and of the shorter side of a picture, 0 for that of the checkpoint;
    nearly: how many times longer than wide a picture may be to be seen as a square; official: the published way, by five
    crops. rows: rows of the checkpoint's biases for the channels, in their order; () for rows that were held out in its
    training, as everything starts from. memory: precision of keys and values, "float32", "bfloat16" or "float16".
    matching: "patch", or "region" or "global" to see what matching is worth: averages over blocks of an example's grid, `regions`
    along each side, or over the whole support stand for its patches.
    threshold: probability from which a pixel belongs to a class. margin: by how much of their span ranges of values are
    widened. label_heads: heads of the label encoder, 0 for groups of 64 channels; matching_heads: of the matching.
    tune: fit the biases to the examples; tune_steps, tune_seconds (0: no limit), tune_every, patience, learning_rate,
    dropout, drop_path: how; resume: a folder in which a tuning is kept until it is done, so that the same one, interrupted,
    goes on where it was: "auto" in the program's cache, "" nowhere.
    width, depth, heads, fused, reassembled: of an untrained head, for trying out. batch, chunk: windows, and maps in the
    decoder, at once; memory and speed alone.
    """

    side: int = 0
    nearly: float = 1.5
    official: bool = False
    rows: tuple[int, ...] = ()
    memory: str = "float32"
    matching: Fineness = "patch"
    regions: int = 4
    threshold: float = 0.2
    margin: float = 0.05
    label_heads: int = 0
    matching_heads: int = 4
    tune: bool = False
    tune_steps: int = 20_000
    tune_seconds: float = 0.0
    tune_every: int = 100
    patience: int = 5
    learning_rate: float = 0.005
    dropout: float = 0.5
    drop_path: float = 0.1
    resume: str = "auto"
    width: int = 96
    depth: int = 4
    heads: int = 4
    fused: int = 32
    reassembled: tuple[int, ...] = (12, 24, 48, 96)
    batch: int = 1
    chunk: int = 4

    def check(self) -> None:
        """UsageError for values that no default is like."""
        if self.memory not in PRECISIONS:
            raise UsageError(f"setting 'memory' is {self.memory!r}", where="vtm", remedy=f"Use one of {', '.join(PRECISIONS)}")
        if self.matching not in FINENESSES or self.regions < 1:
            told = f"settings 'matching' and 'regions' are {self.matching!r} and {self.regions}"
            raise UsageError(told, where="vtm", remedy=f"Use one of {', '.join(FINENESSES)}, and at least one region")
        if len(self.reassembled) != 4:
            raise UsageError(f"setting 'reassembled' has {len(self.reassembled)} widths", where="vtm", remedy="Give four")

    @property
    def pooling(self) -> Pooling:
        """What is averaged of a support."""
        return Pooling(self.matching, self.regions)

    @property
    def tuning(self) -> TuningSettings:
        """How biases are tuned."""
        return TuningSettings(
            learning_rate=self.learning_rate,
            steps=self.tune_steps,
            seconds=self.tune_seconds,
            every=self.tune_every,
            patience=self.patience,
            dropout=self.dropout,
            drop_path=self.drop_path,
            entropy=self.official,
            all_pixels=self.official,
            held_out=not self.official,
        )
