"""Relation network: a small network says how much a picture is related to each class (Sung et al. 2018, "Learning to Compare").

learn    the mean map of each class's supports (the original: their sum), and of it the class half of the first convolution
predict  the picture's map beside each class's through the relation module, softmax

It needs a checkpoint with an encoder of maps and the relation module.

Limits: the number of examples a class at which the original was trained counts, since it sums maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from likewise.errors import WeightsError
from likewise.functional.prototypes import class_sums
from likewise.methods.classifiers.frame import ClassifierSettings, PictureClassifier
from likewise.methods.classifiers.reading import opened_encoder
from likewise.methods.classifiers.relation_model import RelationModule, relation_of


@dataclass(frozen=True, kw_only=True)
class RelationSettings(ClassifierSettings):
    """encoder: one of maps; summed: class maps are sums, as the original has it, not means (Chen et al. 2019)."""

    encoder: str = "conv4np"
    summed: bool = False


class Relation(PictureClassifier):
    """See the top of the file."""

    name = "relation"
    trained = True
    beside = ("relation_module.", "relation_network.")
    reads_maps = True
    Settings = RelationSettings
    settings: RelationSettings

    @classmethod
    def published(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The encoder, and that the original sums maps; there is no backbone."""
        settings, backbone = super().published(official, config)
        original = any(name.removeprefix("module.").startswith("relation_network.") for name in official)
        return settings | ({"summed": True} if original else {}), backbone

    def untrained(self) -> dict[str, Tensor]:
        """An encoder and a relation module that are always the same."""
        tensors = super().untrained()
        maps = self._map(tensors)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            module = RelationModule(maps.shape[1], (maps.shape[2], maps.shape[3]))
        return tensors | {f"relation_module.{name}": tensor for name, tensor in module.state_dict().items()}

    def check(self, network: Mapping[str, Tensor]) -> None:
        """WeightsError for tensors without an encoder of maps or a relation module that fits it."""
        maps = self._map(network)
        _module(network, (maps.shape[2], maps.shape[3]))

    def fit(self, features: Tensor, labels: Tensor, n_way: int, network: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The class half (n, C, h, w) of the first convolution."""
        summed = class_sums(features.flatten(1), labels, n_way)
        rows = summed.sums if self.settings.summed else summed.means()
        maps = rows.reshape(n_way, *features.shape[1:])
        return {"classes": _module(network, _grid(features)).kept(maps)}

    def scores(self, features: Tensor, kept: Mapping[str, Tensor], network: Mapping[str, Tensor]) -> Tensor:
        """Logits of the relations."""
        return _module(network, _grid(features)).relate(kept["classes"], features)

    def _map(self, network: Mapping[str, Tensor]) -> Tensor:
        """A map (1, C, h, w) of an empty picture. WeightsError for an encoder of rows."""
        found: Tensor = opened_encoder(self.settings.encoder, network)(torch.zeros(1, 3, self.side, self.side))
        if found.ndim != 4:
            raise WeightsError(f"the encoder {self.settings.encoder!r} gives no maps", where="encoder", remedy="Name one of maps, conv4np for example")
        return found


def _grid(maps: Tensor) -> tuple[int, int]:
    return maps.shape[2], maps.shape[3]


def _module(network: Mapping[str, Tensor], grid: tuple[int, int]) -> RelationModule:
    """The relation module of a checkpoint in evaluation mode; torch's generator is left as it was."""
    with torch.random.fork_rng(devices=()):
        return relation_of(network, grid).eval().requires_grad_(False)
