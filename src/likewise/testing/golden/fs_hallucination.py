"""Golden files of hallucinated features (`fs_analogy_*`, `fs_shrink_*`, `fs_kmeans_*`, `fs_hallucinator_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.testing.golden.case import Case
from likewise.testing.golden.fs_inputs import array_of, limit_of, strided, tensor_of, weights_of

if TYPE_CHECKING:
    from torch import Tensor

    from likewise.methods.classifiers.analogies_model import AnalogyRegressor

LIMIT = 600  # values of a strided gradient of analogies, whose notes do not say it


def analogies(case: Case) -> Mapping[str, Any]:
    """Mined analogies, the regressor's prediction and loss with gradients, and generated examples."""
    import torch

    from likewise.methods.classifiers.analogies_model import analogy_loss, generated_examples, mined_analogies

    config = case.config
    centres, classifier, features = (tensor_of(case, key) for key in ("centroids", "classifier", "feats"))
    regressor = _regressor(case)
    mined = mined_analogies(centres)
    loss = analogy_loss(regressor, classifier, centres, mined.rows, weight=config["mse_weight"])
    parameters = dict(regressor.named_parameters())
    gradients = dict(zip(parameters, torch.autograd.grad(loss.total, list(parameters.values())), strict=True))
    labels = torch.tensor(config["labels"])
    generator = np.random.RandomState(case.seed)
    generated, generated_labels = generated_examples(regressor, features, labels, centres, generator, per_class=config["max_per_label"])
    flat = centres.flatten(0, 1)
    outputs = {
        "analogies": mined.rows,
        "scores": mined.scores,
        "predicted": regressor(*(flat[mined.rows[:, place]] for place in (0, 2, 3))),
        "class_loss": loss.classes,
        "mse": loss.squares,
        "loss": loss.total,
        "generated": generated,
        "generated_labels": generated_labels,
    }
    outputs |= {f"grad.{name}": _kept(value, case.expected.get(f"grad.{name}")) for name, value in gradients.items()}
    return {name: value for name, value in outputs.items() if name in case.expected}


def _kept(gradient: Tensor, expected: np.ndarray | None) -> Tensor:
    """A gradient in its own shape where the file has that, else flat and strided."""
    return gradient if expected is not None and gradient.shape == expected.shape else strided(gradient, LIMIT)


def _regressor(case: Case) -> AnalogyRegressor:
    from likewise.methods.classifiers.analogies_model import AnalogyRegressor

    weights = weights_of(case)
    inner, threefold = weights["fc1.weight"].shape
    regressor = AnalogyRegressor(threefold // 3, inner)
    regressor.load_state_dict(weights)
    return regressor


def shrinking(case: Case) -> Mapping[str, Any]:
    """The three penalties of a representation, and the gradient of the first."""
    import torch

    from likewise.functional.shrinking import batch_squared_gradient, feature_norm, squared_gradient

    features, weight = tensor_of(case, "feats").requires_grad_(), tensor_of(case, "weight")
    scores = features @ weight.T
    labels = 2 * torch.arange(len(features)) % len(weight)
    penalty = squared_gradient(features, scores, labels)
    return {
        "sgm": penalty,
        "batch_sgm": batch_squared_gradient(features, scores, labels),
        "l2": feature_norm(features),
        "grad.sgm": torch.autograd.grad(penalty, features)[0],
    }


def k_means_centres(case: Case) -> Mapping[str, Any]:
    """The centres that the analogies' k-means ends at."""
    from likewise.functional.clusters import k_means

    config = case.config
    points = array_of(case, "x").astype(np.float64).reshape(config["n"], config["dim"])
    return {"centroids": k_means(points, config["clusters"], np.random.RandomState(case.seed), iterations=config["iterations"])}


def hallucinator(case: Case) -> Mapping[str, Any]:
    """Hallucinated examples in front of a prototypical classifier, its loss and the gradients of the hallucinator."""
    import torch
    from torch.nn.functional import cross_entropy

    from likewise.functional.prototypes import distance_scores
    from likewise.methods.classifiers.common import class_major
    from likewise.methods.classifiers.hallucinator_model import Hallucinator, enlarged_support, seeds_in_turn

    config = case.config
    way, shot = config["way"], config["shot"]
    features, noise = tensor_of(case, "z_features"), tensor_of(case, "noise")
    network = Hallucinator(config["dim"], config["hidden"])
    layers = {"w1": network.fc1.weight, "w2": network.fc2.weight, "w3": network.fc3.weight}
    with torch.no_grad():
        for name, weight in layers.items():
            weight += tensor_of(case, name)
    support, queries = features[:, :shot], features[:, shot:]
    both = enlarged_support(network, support, seeds_in_turn(support, config["generated"]), noise)
    prototypes = both.mean(dim=1)
    logits = distance_scores(queries.flatten(0, 1), prototypes)
    loss = cross_entropy(logits, class_major(way, config["query"]))
    gradients = dict(zip(layers, torch.autograd.grad(loss, list(layers.values())), strict=True))
    outputs: dict[str, Any] = {"hallucinated": both[:, shot:], "prototypes": prototypes, "logits": logits, "loss": loss}
    outputs |= {f"grad.{name}": strided(value, limit_of(case)) for name, value in gradients.items()}
    return {name: value for name, value in outputs.items() if name in case.expected}
