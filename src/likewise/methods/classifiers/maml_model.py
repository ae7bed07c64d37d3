"""MAML: parameters from which a few gradient steps on a support lead to a classifier (Finn et al. 2017), on `torch.func`.

adapted        theta' = theta - rate * gradient of the support's mean cross entropy, some times; all parameters move
meta_gradient  the gradient of the queries' loss under theta' with respect to theta: through the steps (second order), or
               with every inner gradient taken as a constant, which is the gradient at theta' (first order)
with_ways      the parameters with a head for another number of classes
settled        the adapted network as one that answers each image for itself, with the statistics of a last support pass

Batch normalisation uses the batch that it is given, supports and queries each for themselves, as Chen et al. 2019 have it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, replace_all_batch_norm_modules_
from torch.nn.functional import cross_entropy

from likewise.methods.classifiers.common import class_major, parted

Parameters = Mapping[str, Tensor]
HEAD = "classifier."


@dataclass(frozen=True, kw_only=True)
class InnerLoop:
    """How parameters adapt to a support (Chen et al. 2019; for Omniglot one step of 0.1).

    The published TensorFlow code divides the summed loss by the shots, not by the supports: its rate of 0.01 is 0.01 times
    the number of classes here.
    """

    steps: int = 5
    rate: float = 0.01
    first_order: bool = False


@dataclass(frozen=True)
class MetaGradient:
    """What a batch of episodes says of the parameters: loss and gradient summed over episodes; scores (N * Q, N) of each."""

    loss: Tensor
    gradient: dict[str, Tensor]
    scores: list[Tensor]


class MamlNetwork(nn.Module):
    """An encoder `feature` and a linear `classifier` for a fixed number of classes: images (B, C, H, W) -> scores (B, N).

    Takes the encoder over: its batch normalisation loses the running statistics, so that the batch counts in every mode.
    """

    def __init__(self, encoder: nn.Module, width: int, n_way: int) -> None:
        super().__init__()
        self.feature = replace_all_batch_norm_modules_(encoder)
        self.classifier = nn.Linear(width, n_way)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """The scores of a batch of images, before the softmax."""
        return self.classifier(self.feature(images))


def adapted(network: nn.Module, parameters: Parameters, images: Tensor, labels: Tensor, inner: InnerLoop) -> dict[str, Tensor]:
    """The parameters after the inner loop on a support; the given ones stay as they are.

    images (S, C, H, W), labels (S,) in 0..N-1. Can be differentiated by `torch.func`; detached for the first order.
    """

    def loss(current: Parameters) -> Tensor:
        return cross_entropy(functional_call(network, dict(current), (images,)), labels)

    moved = dict(parameters)
    for _ in range(inner.steps):
        gradient = grad(loss)(moved)
        if inner.first_order:
            gradient = {name: value.detach() for name, value in gradient.items()}
        moved = {name: value - inner.rate * gradient[name] for name, value in moved.items()}
    return moved


def meta_gradient(network: nn.Module, parameters: Parameters, episodes: Sequence[Tensor], n_shot: int, inner: InnerLoop) -> MetaGradient:
    """The gradient of the query losses with respect to the parameters before adapting, summed over episodes.

    episodes: each (N, K+Q, C, H, W), the first K = n_shot of each class its support. A query loss is the mean over queries.
    """
    start = {name: value.detach() for name, value in parameters.items()}
    found = [_of_episode(network, start, episode, n_shot, inner) for episode in episodes]
    gradient = {name: torch.stack([one[0][name] for one in found]).sum(dim=0) for name in start}
    return MetaGradient(torch.stack([one[1] for one in found]).sum(), gradient, [one[2] for one in found])


def _of_episode(network: nn.Module, start: Parameters, episode: Tensor, n_shot: int, inner: InnerLoop) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Gradient, loss and scores of the queries of an episode."""
    support, queries = parted(episode, n_shot)
    labels, truth = (class_major(*part.shape[:2]).to(episode.device) for part in (support, queries))

    def adapt(parameters: Parameters) -> dict[str, Tensor]:
        return adapted(network, parameters, support.flatten(0, 1), labels, inner)

    def query_loss(parameters: Parameters) -> tuple[Tensor, Tensor]:
        scores = functional_call(network, dict(parameters), (queries.flatten(0, 1),))
        return cross_entropy(scores, truth), scores

    if inner.first_order:  # the derivative of theta' by theta is the identity then: no step has to be kept
        gradient, (loss, scores) = grad_and_value(query_loss, has_aux=True)(adapt(start))
    else:
        gradient, (loss, scores) = grad_and_value(lambda parameters: query_loss(adapt(parameters)), has_aux=True)(start)
    return gradient, loss, scores


def with_ways(tensors: Parameters, n_way: int) -> dict[str, Tensor]:
    """The tensors with a head of so many classes: as it is where that is its number, else every row of it the mean of its rows."""
    head = {name: tensors[HEAD + name] for name in ("weight", "bias")}
    if len(head["bias"]) == n_way:
        return dict(tensors)
    return {**tensors, **{HEAD + name: value.mean(dim=0, keepdim=True).repeat_interleave(n_way, dim=0) for name, value in head.items()}}


def support_statistics(network: nn.Module, parameters: Parameters, images: Tensor) -> dict[str, Tensor]:
    """Mean and variance that each norm sees in one more pass over the support, by the names of running statistics.

    images (S, C, H, W). The variance is the one that a batch is normalised by, not the unbiased one of running statistics.
    """
    found: dict[str, Tensor] = {}

    def keeper(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def keep(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            found[f"{name}.running_mean"] = given[0].mean(dim=(0, 2, 3))
            found[f"{name}.running_var"] = given[0].var(dim=(0, 2, 3), unbiased=False)

        return keep

    hooks = [part.register_forward_pre_hook(keeper(name)) for name, part in network.named_modules() if isinstance(part, nn.BatchNorm2d)]
    try:
        with torch.no_grad():
            functional_call(network, dict(parameters), (images,))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def settled(network: nn.Module, parameters: Parameters, statistics: Parameters) -> nn.Module:
    """A copy of the network in evaluation mode with adapted parameters and the statistics of `support_statistics`.

    On the support it says what the network says of it as a batch; an image's answer does not depend on others of its batch.
    """
    found = copy.deepcopy(network).eval()
    for name, value in statistics.items():
        norm, _, field = name.rpartition(".")
        setattr(found.get_submodule(norm), field, value)
    found.load_state_dict({**parameters, **statistics})
    return found
