"""What VTM answers: classes and values of a picture, from the memory of a support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.backbones.features import ImageFeatures
from likewise.functional.calibration import peak
from likewise.methods.base import Memory, RawPrediction
from likewise.methods.patches import answer
from likewise.methods.vtm.channels import Channels
from likewise.methods.vtm.crops import probabilities, seen
from likewise.methods.vtm.doubt import confidence
from likewise.methods.vtm.model import SupportMemory, Vtm
from likewise.methods.vtm.parts import memory_of
from likewise.methods.vtm.pictures import Sight, as_image
from likewise.methods.vtm.settings import VtmSettings


@dataclass(frozen=True)
class Answering:
    """Answering with given networks."""

    vtm: Vtm
    sight: Sight
    settings: VtmSettings

    def predictions(self, items: Sequence[ImageFeatures], memory: Memory) -> list[RawPrediction]:
        """Class logits and components of targets, at the size of the views that the features hold."""
        channels = Channels.of(memory.facts["channels"])
        parts = [(part["channels"], memory_of(f"{index}.", memory, part["group"])) for index, part in enumerate(memory.facts["parts"])]
        return [self._answer(item, channels, parts, memory) for item in items]

    def _answer(self, item: ImageFeatures, channels: Channels, parts: Sequence[tuple[list[int], SupportMemory]], memory: Memory) -> RawPrediction:
        image = as_image(item)
        found = torch.zeros(len(channels), *image.shape[-2:])
        offsets, crop = self.sight.windows(image)
        trust = [1.0]
        for (places, part), facts in zip(parts, memory.facts["parts"], strict=True):
            kinds = channels.categorical[places]
            scores, strange = seen(self.vtm, image[None], part, offsets, crop, kinds, batch=self.settings.batch, chunk=self.settings.chunk)
            found[places] = probabilities(scores[0], kinds)
            trust += [confidence(memory.facts["left_out"][name], float(strange)) for name in facts["expected"]]
        dense = channels.values(found, item.size[0] * item.size[1])
        if not memory.facts["count"]:
            return answer(None, (0, 0), dense=dense, links=channels.links, confidence=min(trust))
        logits, presence = self._classes(found[: len(channels.classes)], memory)
        shape = (image.shape[-2], image.shape[-1])
        return answer(logits.flatten(1).T, shape, presence=presence, dense=dense, links=channels.links, confidence=min(trust))

    def _classes(self, found: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Logits (N+1, h, w), 0 for the background, and presence (N,) of probabilities of the classes that the support shows.

        A probability at the threshold is as likely as not. Classes that it does not show are absent.
        """
        edge, places = torch.logit(torch.tensor(self.settings.threshold)), memory.facts["places"]
        logits = torch.full((memory.facts["count"] + 1, *found.shape[-2:]), -torch.inf)
        presence = torch.zeros(memory.facts["count"])
        logits[0] = 0
        if places:
            clear = found.clamp(1e-6, 1 - 1e-6)
            logits[[place + 1 for place in places]] = torch.logit(clear) - edge
            presence[places] = torch.sigmoid(torch.logit(peak(clear.flatten(1))) - edge)
        return logits, presence
