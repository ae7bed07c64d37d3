"""The head of Label Anything: neck, prompt encoder and mask decoder, in the form in which they answer: the support once, then queries."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from likewise.layers.two_way import neck
from likewise.methods.label_anything.config import HeadConfig
from likewise.methods.label_anything.mask_decoder import MaskDecoder
from likewise.methods.label_anything.prompt_encoder import Encoded, PromptEncoder
from likewise.methods.label_anything.prompts import Prompts


class Head(nn.Module):
    """Everything but the image encoder; names of modules are those of the published checkpoints."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.sam_neck = neck(config.encoder_width, 256) if config.sam_neck else None
        width = 256 if config.sam_neck else config.encoder_width
        self.neck = neck(width, config.width) if width != config.width else None
        self.prompt_encoder = PromptEncoder(config)
        self.mask_decoder = MaskDecoder(config)

    def features(self, tokens: Tensor) -> Tensor:
        """Features (B, D, E, E) of tokens (B, E*E, F) of the image encoder."""
        side = round(tokens.shape[1] ** 0.5)
        maps = torch.unflatten(tokens.transpose(1, 2), 2, (side, side))
        for layer in (self.sam_neck, self.neck):
            maps = maps if layer is None else layer(maps)
        return maps

    def remember(self, features: Tensor, prompts: Prompts, *, rows: Tensor | None = None, official: bool = True, chunk: int = 8) -> Encoded:
        """Prototypes of the support; see `PromptEncoder.forward`."""
        found: Encoded = self.prompt_encoder(features, prompts, rows=rows, official=official, chunk=chunk)
        return found

    def logits(self, features: Tensor, prototypes: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits (B, C, 4E, 4E) of queries with features (B, D, E, E), of prototypes (B, C, D) or (C, D).

        valid: (B, C) bool, which classes have prompts; None for all, and as published.
        """
        prototypes = prototypes.expand(len(features), *prototypes.shape[-2:])
        places = self.prompt_encoder.pe_layer.grid(features.shape[-1])[None]
        found: Tensor = self.mask_decoder(features, places, prototypes, valid)
        return found


def untrained_head(config: HeadConfig, seed: int = 0) -> Head:
    """A head with the initial numbers of a seed, as published; the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Head(config).eval().requires_grad_(False)
