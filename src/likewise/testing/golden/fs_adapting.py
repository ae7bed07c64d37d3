"""Golden files of the learners that adapt to a support: MAML, Baseline, Baseline++ (`fs_maml_*`, `fs_cosine_head_*`, `fs_finetune_*`, `fs_db_index_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.testing.golden.case import Case
from likewise.testing.golden.fs_inputs import limit_of, strided, tensor_of, weights_of

if TYPE_CHECKING:
    from torch import Tensor

    from likewise.methods.classifiers.maml_model import MamlNetwork

WATCHED = (1, 2, 5)  # steps whose parameters a file of tuning holds, beside the last


def cosine_head(case: Case) -> Mapping[str, Any]:
    """Scores, loss and gradients of Baseline++'s head, and its scores of a feature of zeros."""
    import torch
    from torch.nn.functional import cross_entropy

    from likewise.methods.classifiers.baseline_model import cosine_scores

    config = case.config
    x, v, g = (tensor_of(case, key).requires_grad_() for key in ("x", "weight_v", "weight_g"))
    parameters = {"weight_v": v, "weight_g": g}
    scores = cosine_scores(parameters, x, config["factor"])
    loss = cross_entropy(scores, 3 * torch.arange(len(x)) % config["classes"])
    gradients = torch.autograd.grad(loss, [x, v, g])
    with torch.no_grad():
        nothing = cosine_scores(parameters, torch.zeros(1, x.shape[1]), config["factor"])[0]
    names = ("grad.x", "grad.weight_v", "grad.weight_g")
    return {"scores": scores, "loss": loss, "scores_zero_row": nothing, **dict(zip(names, gradients, strict=True))}


def tuning(case: Case) -> Mapping[str, Any]:
    """The parameters of a head after some steps on the support, and its scores of the queries after the last."""
    import torch

    from likewise.methods.classifiers.baseline_model import Tuning, cosine_factor, cosine_scores, linear_scores, tuning_steps

    config = case.config
    way, shot = config["way"], config["shot"]
    z = tensor_of(case, "z")
    start = {name.removeprefix("init."): torch.from_numpy(array) for name, array in case.stored.items() if name.startswith("init.")}

    def scores(parameters: Mapping[str, Tensor], features: Tensor) -> Tensor:
        if config["head"] == "linear":
            return linear_scores(parameters, features)
        return cosine_scores(parameters, features, config.get("factor", cosine_factor(way)))

    settings = Tuning(
        epochs=config["epochs"],
        batch=config["batch"],
        rate=config["lr"],
        momentum=config["momentum"],
        dampening=config["dampening"],
        weight_decay=config["weight_decay"],
    )
    orders = torch.from_numpy(case.stored["permutations"].astype(np.int64))
    labels = torch.arange(way).repeat_interleave(shot)
    found: dict[str, Tensor] = {}
    last: Mapping[str, Tensor] = start
    for step, last in enumerate(tuning_steps(scores, start, z[:, :shot].flatten(0, 1), labels, orders, settings), 1):
        found |= {f"step{step}.{name}": value.clone() for name, value in last.items() if step in WATCHED or step == config["steps"]}
    return found | {"scores": scores(last, z[:, shot:].flatten(0, 1))}


def maml(case: Case) -> Mapping[str, Any]:
    """The adapted parameters of the first task, the query scores of all, and the meta-gradient."""
    import torch

    from likewise.methods.classifiers.common import class_major
    from likewise.methods.classifiers.maml_model import InnerLoop, adapted, meta_gradient

    config = case.config
    network, parameters = _maml_network(case)
    inner = InnerLoop(steps=config["steps"], rate=config["lr"], first_order=config["first_order"])
    tasks = [tensor_of(case, f"x{task}") for task in range(config["tasks"])]
    found = meta_gradient(network, parameters, tasks, config["shot"], inner)
    support = tasks[0][:, : config["shot"]]
    fast = adapted(network, parameters, support.flatten(0, 1), class_major(*support.shape[:2]), inner)
    outputs: dict[str, Any] = {"meta_loss": found.loss, "meta_grad_norm": torch.cat([value.flatten() for value in found.gradient.values()]).norm()}
    for task, scores in enumerate(found.scores):
        labels = class_major(config["way"], config["query"])
        outputs |= {f"task{task}.scores": scores, f"task{task}.loss": torch.nn.functional.cross_entropy(scores, labels)}
    limit = limit_of(case)
    outputs |= {f"task0.fast.{name}": strided(value, limit) for name, value in fast.items()}
    outputs |= {f"meta_grad.{name}": strided(value, limit) for name, value in found.gradient.items()}
    return {name: value for name, value in outputs.items() if name in case.expected}


def _maml_network(case: Case) -> tuple[MamlNetwork, dict[str, Tensor]]:
    """The network of a case, and its seeded parameters."""
    from likewise.backbones.conv_encoders import ConvConfig, ConvEncoder
    from likewise.backbones.encoders import encoder_of
    from likewise.methods.classifiers.maml_model import MamlNetwork

    stated, weights = case.config["encoder"], weights_of(case)
    if isinstance(stated, str):
        encoder = encoder_of(stated, weights)
    else:
        blocks = len(stated["blocks"])
        widths = tuple(after for _, after in stated["blocks"])
        encoder = ConvEncoder(ConvConfig(channels=stated["blocks"][0][0], widths=widths, padding=(1,) * blocks, pooled=blocks))
    n_way, width = weights["classifier.weight"].shape
    network = MamlNetwork(encoder, width, n_way)
    parameters = {name: weights[name] for name, _ in network.named_parameters()}
    return network, parameters


def davies_bouldin_index(case: Case) -> Mapping[str, Any]:
    """The index that chooses a Baseline checkpoint, and the spread of every class."""
    import torch

    from likewise.functional.clusters import class_spreads, davies_bouldin

    z = tensor_of(case, "z")
    features, labels = z.flatten(0, 1), torch.arange(z.shape[0]).repeat_interleave(z.shape[1])
    return {"index": davies_bouldin(features, labels), "stds_check": class_spreads(features, labels)}
