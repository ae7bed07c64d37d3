"""Relation networks: a small network that tells from two maps, or two vectors, whether they are of one class (Sung et al. 2018).

A pair is the class beside the query along channels. The convolution of two maps side by side is the sum of two convolutions, so
each half is made once, and the class's can be kept. Letters: N classes, K shots, Q queries, C channels, D width.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy, linear, mse_loss, one_hot

from likewise.backbones.checkpoint import check_layout
from likewise.errors import WeightsError
from likewise.methods.classifiers.common import parted

PADDED_BELOW = 10  # sides of maps whose convolutions are padded

_PREFIX = re.compile(r"^(module\.)?(relation_module\.|relation_network\.)?")
_TWICE = re.compile(r"^layer[12]\.trunk\.")  # the same tensors a second time
_COUNTED = re.compile(r"^(layer[12])\.([01])\.")


class _Block(nn.Module):
    def __init__(self, before: int, after: int, padding: int, momentum: float) -> None:
        super().__init__()
        self.C, self.BN = nn.Conv2d(before, after, 3, padding=padding), nn.BatchNorm2d(after, momentum=momentum)
        self.pool = nn.MaxPool2d(2)

    def behind(self, convolved: Tensor) -> Tensor:
        """What follows the convolution."""
        found: Tensor = self.pool(torch.relu(self.BN(convolved)))
        return found


def _pooled_twice(side: int, padding: int) -> int:
    """What two blocks leave of one side of a map."""
    for _ in range(2):
        side = (side - 2 + 2 * padding) // 2
    return side


class RelationModule(nn.Module):
    """Maps of classes and of queries -> how much each query is related to each class, as a logit.

    grid: rows and columns of the maps. Names of tensors: layer1.C, layer1.BN, layer2.C, layer2.BN, fc1, fc2 (Chen et al. 2019). momentum: of the running
    statistics; published with 1, which keeps those of the last batch only. Raises ValueError for maps of which two blocks leave nothing.
    """

    def __init__(self, channels: int, grid: tuple[int, int], *, width: int | None = None, hidden: int = 8, momentum: float = 0.1) -> None:
        super().__init__()
        padding, width = int(max(grid) < PADDED_BELOW), channels if width is None else width
        rows, columns = (_pooled_twice(side, padding) for side in grid)
        if min(rows, columns) < 1:
            raise ValueError(f"two blocks leave nothing of maps of {grid[0]} x {grid[1]}")
        self.layer1, self.layer2 = _Block(2 * channels, width, padding, momentum), _Block(width, width, padding, momentum)
        self.fc1, self.fc2 = nn.Linear(width * rows * columns, hidden), nn.Linear(hidden, 1)

    def kept(self, classes: Tensor) -> Tensor:
        """The class half (N, width, h, w) of the first convolution of class maps (N, C, h, w), with its bias: all that a task needs of them."""
        first = self.layer1.C
        return conv2d(classes, first.weight[:, : classes.shape[1]], first.bias, padding=first.padding)

    def relate(self, kept: Tensor, queries: Tensor) -> Tensor:
        """Logits (Q, N) of query maps (Q, C, h, w) for what was kept of N classes. In training mode the norms see all pairs."""
        first = self.layer1.C
        asked = conv2d(queries, first.weight[:, -queries.shape[1] :], padding=first.padding)
        pairs = (asked[:, None] + kept[None]).flatten(0, 1)
        inner = self.layer2.behind(self.layer2.C(self.layer1.behind(pairs)))
        found: Tensor = self.fc2(torch.relu(self.fc1(inner.flatten(1))))
        return found.reshape(len(queries), len(kept))

    def forward(self, classes: Tensor, queries: Tensor) -> Tensor:
        """Logits (Q, N) of query maps (Q, C, h, w) for class maps (N, C, h, w)."""
        return self.relate(self.kept(classes), queries)


class RelationNetwork(nn.Module):
    """An encoder of maps and the module that relates them.

    summed: a class map is the sum of its supports' maps (the original) or their mean (Chen et al. 2019); apart: supports and queries are two
    batches of the encoder (the original) or one, which its norms in training mode see.
    """

    def __init__(self, encoder: nn.Module, relation: RelationModule, *, summed: bool, apart: bool) -> None:
        super().__init__()
        self.encoder, self.relation, self.summed, self.apart = encoder, relation, summed, apart

    def class_maps(self, maps: Tensor) -> Tensor:
        """Class maps (N, C, h, w) of those of supports (N, K, C, h, w)."""
        return maps.sum(dim=1) if self.summed else maps.mean(dim=1)

    def forward(self, episode: Tensor, n_shot: int) -> Tensor:
        """Logits (N Q, N), queries class by class, of an episode (N, K+Q, C, H, W)."""
        supports, queries = parted(episode, n_shot)
        parts = [supports.flatten(0, 1), queries.flatten(0, 1)]
        if self.apart:
            known, asked = (self.encoder(part) for part in parts)
        else:
            known, asked = self.encoder(torch.cat(parts)).split([len(part) for part in parts])
        found: Tensor = self.relation(self.class_maps(known.unflatten(0, (len(episode), n_shot))), asked)
        return found


class AttributeNetwork(nn.Module):
    """Class vectors (N, A) -> vectors (N, D) in the space of image features: the class half of a pair without any example."""

    def __init__(self, attributes: int, hidden: int, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(attributes, hidden), nn.Linear(hidden, width)

    def forward(self, attributes: Tensor) -> Tensor:
        """The embedded classes."""
        return torch.relu(self.fc2(torch.relu(self.fc1(attributes))))


class VectorRelation(nn.Module):
    """Embedded classes and image features of D numbers -> how much they are related, as a logit."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(2 * width, hidden), nn.Linear(hidden, 1)

    def forward(self, classes: Tensor, features: Tensor) -> Tensor:
        """Logits (B, N) of features (B, D) for classes (N, D)."""
        of_class, of_image = self.fc1.weight.chunk(2, dim=1)
        hidden = torch.relu(linear(features, of_image)[:, None] + linear(classes, of_class, self.fc1.bias)[None])
        found: Tensor = self.fc2(hidden)
        return found[..., 0]


def squared_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error of the relations, sigmoids of logits (Q, N), to 1 for the class (Q,) and 0 for the others. The original's loss."""
    return mse_loss(torch.sigmoid(logits), one_hot(labels, logits.shape[1]).to(logits.dtype))


def softmax_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of logits (Q, N) over the classes, without a sigmoid: the form of Chen et al. 2019 that is published to be better."""
    return cross_entropy(logits, labels)


def relation_of(tensors: Mapping[str, Tensor], grid: tuple[int, int], *, momentum: float = 0.1) -> RelationModule:
    """The relation module of a checkpoint of either code base, for maps of `grid` (rows, columns); sizes follow the tensors.

    Other tensors are left out. Raises WeightsError where those of the module do not fit.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        name = _PREFIX.sub("", name, count=1)
        name = _COUNTED.sub(lambda match: f"{match[1]}.{'C' if match[2] == '0' else 'BN'}.", name)
        if name.startswith(("layer1.", "layer2.", "fc1.", "fc2.")) and not _TWICE.match(name):
            found[name] = tensor
    if "layer1.C.weight" not in found or "fc1.weight" not in found:
        raise WeightsError("there is no relation module", where="relation network", remedy="Name a checkpoint with layer1.*, layer2.*, fc1.* and fc2.* tensors")
    for layer in ("layer1", "layer2"):
        found.setdefault(f"{layer}.BN.num_batches_tracked", torch.zeros((), dtype=torch.int64))
    width, both = found["layer1.C.weight"].shape[:2]
    module = RelationModule(both // 2, grid, width=width, hidden=len(found["fc1.weight"]), momentum=momentum)
    check_layout(found, module.state_dict(), "relation network")
    module.load_state_dict(found)
    return module
