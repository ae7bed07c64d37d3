"""MAML: a network that a few gradient steps on the examples turn into a classifier (Finn et al. 2017, "Model-Agnostic Meta-Learning").

learn    the inner loop from the checkpoint's parameters, all of which move; the adapted ones, and the norm statistics of a last pass over the examples
predict  the adapted network's scores, each picture by itself, softmax

It needs a checkpoint with an encoder and a head, whose number of classes is that of its training. For any other number every class begins
from the mean of the head's rows, which is ours: Ye and Chao 2022 ("How to Train Your MAML to Excel in Few-Shot Classification") train such a row.

Limits: rows of the head are given to classes in the order of the hashes of their pictures, and another order answers otherwise; a step
is over all examples at once; examples that are added are learned with all others anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from likewise.errors import UsageError, WeightsError
from likewise.methods.classifiers.common import under
from likewise.methods.classifiers.frame import ClassifierSettings, PictureClassifier
from likewise.methods.classifiers.maml_model import HEAD, InnerLoop, MamlNetwork, adapted, support_statistics, with_ways
from likewise.methods.classifiers.reading import feature_shape, opened_encoder

_ADAPTED = "adapted."
_UNREAD = ("running_mean", "running_var", "num_batches_tracked")
_OF_DRAWINGS = {"steps": 1, "rate": 0.1}  # the inner loop of Chen et al. 2019 on Omniglot, which checkpoints do not tell


@dataclass(frozen=True, kw_only=True)
class MamlSettings(ClassifierSettings):
    """steps, rate: of the inner loop, as in the training of the checkpoint, whose card names them (see `maml_model.InnerLoop`)."""

    encoder: str = "conv4"
    steps: int = InnerLoop.steps
    rate: float = InnerLoop.rate

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 0 or not self.rate > 0:
            raise UsageError(
                f"{self.steps} steps at the rate {self.rate} are no inner loop", where=type(self).__qualname__, remedy="Give steps, and a rate above 0"
            )


class Maml(PictureClassifier):
    """See the top of the file."""

    name = "maml"
    trained = True
    beside = (HEAD,)
    Settings = MamlSettings
    settings: MamlSettings
    folds: ClassVar[int] = 3

    @classmethod
    def converted(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """Encoder and head of a published checkpoint, without running statistics, which no step of its training wrote."""
        return {name: tensor for name, tensor in super().converted(official, config).items() if not name.endswith(_UNREAD)}

    @classmethod
    def published(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The encoder, and the inner loop of drawings for an encoder of drawings; there is no backbone."""
        settings, backbone = super().published(official, config)
        return settings | (_OF_DRAWINGS if settings.get("encoder", "").endswith("s") else {}), backbone

    def untrained(self) -> dict[str, Tensor]:
        """An encoder and a head of two classes that are always the same."""
        tensors = super().untrained()
        (width,) = feature_shape(opened_encoder(self.settings.encoder, tensors), self.side)
        head = torch.randn(2, width, generator=torch.Generator().manual_seed(0)) / width**0.5
        return tensors | {f"{HEAD}weight": head, f"{HEAD}bias": torch.zeros(2)}

    def check(self, network: Mapping[str, Tensor]) -> None:
        """WeightsError for tensors without an encoder of rows, or a head on them."""
        shape = feature_shape(opened_encoder(self.settings.encoder, network), self.side)
        if len(shape) != 1:
            raise WeightsError(f"the encoder {self.settings.encoder!r} gives maps", where="encoder", remedy="Name one of rows, conv4 for example")
        weight, bias = (network.get(HEAD + name) for name in ("weight", "bias"))
        if weight is None or bias is None or weight.ndim != 2 or weight.shape != (len(bias), *shape):
            told = "no head" if weight is None or bias is None else f"a head of {tuple(weight.shape)} on features of {shape[0]} numbers"
            raise WeightsError(f"there is {told}", where="classifier", remedy=f"Name a checkpoint of maml, for pictures of {self.side} pixels")

    def encoded(self, shown: Tensor, network: Mapping[str, Tensor]) -> Tensor:
        """The normalised pictures (B, 3, side, side) themselves: the encoder is still to adapt."""
        del network
        return shown

    def fit(self, features: Tensor, labels: Tensor, n_way: int, network: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The adapted encoder with statistics of its own, and the adapted head."""
        own = self.settings
        with torch.inference_mode(False), torch.enable_grad():
            images, classes = features.clone(), labels.clone()
            whole = self._network(with_ways(network, n_way)).train()
            inner = InnerLoop(steps=own.steps, rate=own.rate, first_order=True)  # nothing is differentiated further
            moved = adapted(whole, {name: value.detach() for name, value in whole.named_parameters()}, images, classes, inner)
            found = moved | support_statistics(whole, moved, images)
        return {_ADAPTED + name: tensor.detach() for name, tensor in found.items()}

    def scores(self, features: Tensor, kept: Mapping[str, Tensor], network: Mapping[str, Tensor]) -> Tensor:
        """What the adapted network says of pictures (B, 3, side, side), each by itself."""
        tensors = under(kept, _ADAPTED)
        found: Tensor = self.held(tensors, lambda: self._settled(tensors))(features)
        return found

    def _network(self, tensors: Mapping[str, Tensor]) -> MamlNetwork:
        """The network whose norms see the batch, with these parameters."""
        head = tensors[f"{HEAD}weight"]
        with torch.random.fork_rng(devices=()):
            network = MamlNetwork(opened_encoder(self.settings.encoder, tensors), head.shape[1], len(head))
        with torch.no_grad():
            network.classifier.weight.copy_(head)
            network.classifier.bias.copy_(tensors[f"{HEAD}bias"])
        return network

    def _settled(self, tensors: Mapping[str, Tensor]) -> nn.Module:
        """The adapted network in evaluation mode, with the statistics that are among the tensors."""
        encoder, weight, bias = opened_encoder(self.settings.encoder, tensors), tensors[f"{HEAD}weight"], tensors[f"{HEAD}bias"]
        head = nn.Linear(weight.shape[1], len(weight), device="meta")
        head.load_state_dict({"weight": weight, "bias": bias}, assign=True)
        return nn.Sequential(encoder, head).eval().requires_grad_(False)
