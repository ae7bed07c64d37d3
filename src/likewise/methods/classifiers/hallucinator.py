"""A hallucinator in front of a learner of classes, and the episodes that train both (Wang et al. 2018).

A learner here is a function of supports (S, D), their classes (S,) and queries (Q, D) that gives scores (Q, N), log-probabilities up to a
constant a query: `prototypical`, `matching`, `prototype_matching`, or any other that can be differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Adam

from likewise.functional.prototypes import class_sums, distance_scores
from likewise.functional.support_attention import attention, class_probabilities, log_probabilities
from likewise.methods.classifiers.common import class_major, parted
from likewise.methods.classifiers.hallucinator_model import Hallucinator, drawn_seeds, enlarged_support

Learner = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class HallucinatorTraining:
    """How hallucinator and learner are trained together; the paper's text leaves the numbers open, so these are ours."""

    n_way: int = 5  # the paper has all base classes of a split in each episode
    n_shot: tuple[int, int] = (1, 5)  # least and most, drawn for each episode
    n_query: int = 5
    generated: int = 5  # a class; the paper tunes it on validation classes
    rate: float = 1e-4
    n_episodes: int = 2000


def prototypical(supports: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """Negative squared distances (Q, N) from the mean of each class, real and hallucinated examples alike."""
    return distance_scores(queries, _means(supports, labels))


def matching(supports: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """Log-probabilities (Q, N): attention over all examples, queries of their own length, by class; one with more of them is not favoured."""
    weights = attention(queries, supports, "support")
    return log_probabilities(class_probabilities(weights, labels, _ways(labels), by_shot=True))


def prototype_matching(supports: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """Log-probabilities (Q, N): the attention of matching networks over the mean of each class."""
    return log_probabilities(attention(queries, _means(supports, labels), "support"))


def _ways(labels: Tensor) -> int:
    return int(labels.max()) + 1


def _means(supports: Tensor, labels: Tensor) -> Tensor:
    return class_sums(supports, labels, _ways(labels)).means()


LEARNERS: dict[str, Learner] = {"prototypical": prototypical, "matching": matching, "prototype_matching": prototype_matching}


def asked(learner: Learner, support: Tensor, queries: Tensor) -> Tensor:
    """What a learner says (Q, N) of queries (Q, D), where all classes of the support (N, S, D) have as many examples."""
    return learner(support.flatten(0, 1), class_major(*support.shape[:2]).to(support.device), queries)


def episode_loss(hallucinator: Hallucinator, episode: Tensor, n_shot: int, count: int, learner: Learner, generator: Generator) -> Tensor:
    """The mean cross entropy of an episode's queries, a scalar, with `count` hallucinated examples a class.

    episode (N, K+Q, D): features of which the first K = n_shot of each class are its support.
    """
    support, queries = parted(episode, n_shot)
    both = enlarged_support(hallucinator, support, *drawn_seeds(support, count, generator))
    return cross_entropy(asked(learner, both, queries.flatten(0, 1)), class_major(*queries.shape[:2]).to(episode.device))


def drawn_episode(classes: Sequence[Tensor], training: HallucinatorTraining, generator: Generator) -> tuple[Tensor, int]:
    """An episode (N, K+Q, D) of features of classes, each (M, D), and its shots K. Raises ValueError for too few of either."""
    least, most = training.n_shot
    n_shot = int(torch.randint(least, most + 1, (), generator=generator))
    size = n_shot + training.n_query
    if len(classes) < training.n_way or min(len(features) for features in classes) < size:
        raise ValueError(f"an episode of {training.n_way} classes with {size} examples each cannot be drawn from {[len(features) for features in classes]}")
    chosen = torch.randperm(len(classes), generator=generator)[: training.n_way].tolist()
    return torch.stack([classes[place][torch.randperm(len(classes[place]), generator=generator)[:size]] for place in chosen]), n_shot


def episode_steps(
    hallucinator: Hallucinator,
    learner: Learner,
    classes: Sequence[Tensor],
    training: HallucinatorTraining,
    generator: Generator,
    *,
    embedding: nn.Module | None = None,
) -> Iterator[float]:
    """The loss of one training episode after another; the hallucinator, and the learner's embedding if it has one, are trained in place.

    classes: the features (M, D), not negative, of each base class; embedding: what the learner makes of features before it compares.
    """
    embed = embedding or nn.Identity()
    optimiser = Adam([*hallucinator.parameters(), *embed.parameters()], training.rate)
    for _ in range(training.n_episodes):
        episode, n_shot = drawn_episode(classes, training, generator)
        loss = episode_loss(
            hallucinator, episode, n_shot, training.generated, lambda supports, labels, queries: learner(embed(supports), labels, embed(queries)), generator
        )
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        yield float(loss.detach())
