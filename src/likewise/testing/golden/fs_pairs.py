"""Golden files of learners that judge pairs: relation networks and Siamese networks (`fs_relation_*`, `fs_zero_shot_relation_*`, `fs_siamese_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case
from likewise.testing.golden.fs_inputs import strided, tensor_of, weights_of
from likewise.testing.golden.fs_metric import gradients_of

if TYPE_CHECKING:
    from torch import Tensor

    from likewise.methods.classifiers.relation_model import RelationNetwork

GRADIENTS = 600  # numbers of a gradient
EMBEDDING = 900  # numbers of embeddings
ORIGINAL = {"omniglot": "conv4snp", "mini": "conv4np"}  # encoders of the original by their images
TRAINED = 5  # side of the maps of the authors' weights
MODES = ("eval", "train")


def relation(case: Case) -> Mapping[str, Any]:
    """Logits, relations, loss and gradients of either code base, or answers of the authors' weights."""
    if case.config["form"] == "closer_look":
        return _closer_look(case)
    return _trained(case) if any(name.startswith("weights.") for name in case.stored) else _original(case)


def _closer_look(case: Case) -> Mapping[str, Any]:
    from torch.nn import Identity

    from likewise.backbones.encoders import encoder_of
    from likewise.methods.classifiers.relation_model import RelationNetwork, relation_of

    config, weights, episode = case.config, weights_of(case), tensor_of(case, "x")
    encoder = encoder_of(config["encoder"], weights) if isinstance(config["encoder"], str) else Identity()
    module = relation_of({name: tensor for name, tensor in weights.items() if name.startswith("relation_module.")}, _grid(encoder, episode), momentum=1.0)
    network = RelationNetwork(encoder, module, summed=False, apart=False)
    found: dict[str, Any] = {}
    for mode in MODES:
        network.train(mode == "train")
        outputs = _answers(case, network, squared=config["loss"] == "mse")
        found |= {f"{mode}.{name}": output for name, output in outputs.items()}
    state = {f"relation_module.{name}": tensor for name, tensor in module.state_dict().items()}
    return {name: state[name.removeprefix("after.")] if name.startswith("after.") else found[name] for name in case.expected}


def _original(case: Case) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    state: Mapping[str, Tensor] = {}
    for mode in MODES:  # each with statistics of its own
        network = _original_network(case, networks_of(case)).train(mode == "train")
        found |= {f"{mode}.{name}": output for name, output in _answers(case, network, squared=True).items()}
        state = {f"feature_encoder.{name}": tensor for name, tensor in network.encoder.state_dict().items()}
        state |= {f"relation_network.{name}": tensor for name, tensor in network.relation.state_dict().items()}
    return {name: state[_as_ours(name)] if name.startswith("after.") else found[name] for name in case.expected}


def _answers(case: Case, network: RelationNetwork, *, squared: bool) -> dict[str, Any]:
    import torch

    from likewise.methods.classifiers.common import class_major
    from likewise.methods.classifiers.relation_model import softmax_loss, squared_loss

    logits = network(tensor_of(case, "x"), case.config["shot"])
    loss = (squared_loss if squared else softmax_loss)(logits, class_major(case.config["way"], case.config["query"]))
    found = {"logits": logits, "relations": torch.sigmoid(logits) if squared else logits, "loss": loss}
    named = gradients_of(loss, network)
    for part in ("encoder", "relation"):
        squares = [gradient.square().sum() for name, gradient in named.items() if name.startswith(f"{part}.")]
        found |= {f"grad_norm.{part}": torch.stack(squares).sum().sqrt()} if squares else {}
    for official in ("relation_network", "relation_module"):
        found |= {f"grad.{official}.{name.removeprefix('relation.')}": strided(gradient, GRADIENTS) for name, gradient in named.items()}
    return {name: tensor.detach() for name, tensor in found.items()}


def _original_network(case: Case, weights: Mapping[str, Mapping[str, Tensor]]) -> RelationNetwork:
    from likewise.backbones.encoders import encoder_of
    from likewise.methods.classifiers.relation_model import RelationNetwork, relation_of

    name = ORIGINAL[case.config["networks"]]
    encoder = encoder_of(name, weights["feature_encoder"], momentum=1.0)
    side = case.config.get("map", TRAINED)
    module = relation_of(weights["relation_network"], (side, side), momentum=1.0)
    return RelationNetwork(encoder, module, summed=True, apart=True)


def _trained(case: Case) -> Mapping[str, Any]:
    import torch

    parted: dict[str, dict[str, Tensor]] = {}
    for name, array in case.stored.items():
        network, _, rest = name.removeprefix("weights.").partition(".")
        parted.setdefault(network, {})[rest] = torch.from_numpy(array)
    from likewise.testing.golden.fs_protocols import one_shot_runs

    runs = one_shot_runs(case)
    found: dict[str, Any] = {}
    for mode in ("train", "eval"):
        relations = [_of_run(_original_network(case, parted).train(mode == "train"), run) for run in runs]
        right = [(answer.argmax(dim=1).numpy() == run.answer).mean() * 100 for answer, run in zip(relations, runs, strict=True)]
        found |= {f"{mode}.relations_run0": relations[0], f"{mode}.accuracy": torch.tensor(right)}
    return found


def _of_run(network: RelationNetwork, run: Any) -> Tensor:
    """Relations (Q, N) of a one-shot run."""
    import torch

    from likewise.episodes.classification.drawings import relation_drawing

    with torch.no_grad():
        support, query = (network.encoder(torch.stack([torch.from_numpy(relation_drawing(ink))[None] for ink in part])) for part in (run.support, run.query))
        return torch.sigmoid(network.relation(support, query))


def zero_shot_relation(case: Case) -> Mapping[str, Any]:
    """Embedded classes, relations, loss and gradients of given features and attributes."""
    import torch

    from likewise.methods.classifiers.relation_model import AttributeNetwork, VectorRelation, squared_loss

    config, weights = case.config, networks_of(case)
    classes = AttributeNetwork(config["attributes"], len(weights["attribute_network"]["fc1.bias"]), config["dim"])
    pairs = VectorRelation(config["dim"], len(weights["relation_network"]["fc1.bias"]))
    classes.load_state_dict(weights["attribute_network"])
    pairs.load_state_dict(weights["relation_network"])
    embedded = classes(tensor_of(case, "attributes"))
    logits = pairs(embedded, tensor_of(case, "features"))
    loss = squared_loss(logits, torch.arange(config["batch"]) % config["classes"])
    found = {"class_embeddings": embedded, "relations": torch.sigmoid(logits), "loss": loss}
    for official, network in (("attribute_network", classes), ("relation_network", pairs)):
        found |= {f"grad.{official}.{name}": strided(gradient, GRADIENTS) for name, gradient in gradients_of(loss, network).items()}
    return {name: found[name] for name in case.expected}


def siamese(case: Case) -> Mapping[str, Any]:
    """Embeddings, logits of pairs and loss."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    from likewise.methods.classifiers.siamese_model import siamese_of

    first, second = (tensor_of(case, name)[:, 0] for name in ("x1", "x2"))
    with torch.inference_mode():
        network = siamese_of(weights_of(case), side=first.shape[-1])
        embedding = network.embed(first)
        logits = network.compare(embedding, network.embed(second))
        targets = (torch.arange(len(logits)) % 2).float()[:, None]
        return {
            "embedding1": strided(embedding, EMBEDDING),
            "embedding1_stat": torch.stack([embedding.mean(), embedding.std(correction=0)]),
            "logit": logits,
            "probability": torch.sigmoid(logits),
            "loss": binary_cross_entropy_with_logits(logits, targets),
        }


def networks_of(case: Case) -> dict[str, dict[str, Tensor]]:
    """The seeded tensors of networks with state dicts of their own, by network: names have no prefix, and the second has the next seed."""
    import torch

    gain = case.meta.get("gain")
    parted: dict[str, list[tuple[str, list[int]]]] = {}
    for name, shape in case.layout():
        network, _, rest = name.partition(".")
        parted.setdefault(network, []).append((rest, shape))
    found = {}
    for place, (network, layout) in enumerate(parted.items()):
        arrays = seeded.state_dict(layout, case.seed + place, 1.0 if gain is None else float(gain), _within(network, case.meta.get("overrides") or {}))
        found[network] = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return found


def _within(network: str, overrides: Mapping[str, float]) -> dict[str, float]:
    """The overrides that fit a network, by the names that its tensors have in it."""
    prefix = f"{network}."
    return {pattern.removeprefix(prefix): factor for pattern, factor in overrides.items() if pattern.startswith((prefix, "*"))}


def _grid(encoder: Any, episode: Tensor) -> tuple[int, int]:
    """Rows and columns of the maps that an encoder gives of an episode's images; its statistics stay as they are."""
    import torch

    with torch.no_grad():
        rows, columns = encoder.eval()(episode[:1, 0]).shape[-2:]
    return int(rows), int(columns)


def _as_ours(name: str) -> str:
    """The name here of a tensor of the original networks, `after.` left out."""
    from likewise.backbones.encoders import encoder_tensors

    network, _, rest = name.removeprefix("after.").partition(".")
    if network == "feature_encoder":
        import torch

        return f"{network}.{next(iter(encoder_tensors({rest: torch.zeros(1)})))}"
    layer, number, last = rest.split(".")
    return f"{network}.{layer}.{'C' if number == '0' else 'BN'}.{last}"
