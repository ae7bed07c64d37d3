"""Golden files of prototypical and matching networks (`fs_proto_*`, `fs_matching_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from likewise.testing.golden.case import Case
from likewise.testing.golden.fs_inputs import strided, tensor_of, weights_of

if TYPE_CHECKING:
    from torch import Tensor, nn

GRADIENTS = 600  # numbers of a gradient of matching networks


def gradients_of(loss: Tensor, network: nn.Module) -> dict[str, Tensor]:
    """The gradients of a loss by the names of a network's parameters."""
    import torch

    named = dict(network.named_parameters())
    return dict(zip(named, torch.autograd.grad(loss, list(named.values()), retain_graph=True), strict=True))


def prototypical(case: Case) -> Mapping[str, Any]:
    """Logits, loss and gradients of both code bases, in evaluation mode and then in training mode."""
    from likewise.backbones.encoders import encoder_of
    from likewise.methods.classifiers.prototypical_model import PrototypicalNetwork

    network = PrototypicalNetwork(encoder_of(case.config.get("encoder", "conv4s"), weights_of(case)))
    found: dict[str, Any] = {}
    for mode in ("eval", "train"):
        outputs = _episode(case, network.train(mode == "train"))
        found |= {f"{mode}.{name}": output for name, output in outputs.items()}
    return {name: found[name] for name in case.expected}


def _episode(case: Case, network: Any) -> Mapping[str, Any]:
    from torch.nn.functional import cross_entropy

    from likewise.methods.classifiers.common import class_major

    config = case.config
    logits, prototypes = network(tensor_of(case, "x"), config["shot"])
    labels = class_major(config["way"], config["query"])
    loss = cross_entropy(logits, labels)
    gradients = gradients_of(loss, network.encoder)
    last = max(int(name.split(".")[1]) for name in gradients)
    original = {
        "logits": logits,
        "acc": (logits.argmax(dim=-1) == labels).float().mean(),
        "prototypes": prototypes,
        "grad.first_conv": gradients["trunk.0.C.weight"],
        "grad.last_bn_weight": gradients[f"trunk.{last}.BN.weight"],
    }
    return original | {f"grad.feature.{name}": gradient for name, gradient in gradients.items()} | {"scores": logits, "loss": loss}


def zero_shot(case: Case) -> Mapping[str, Any]:
    """Prototypes of class vectors, logits and loss."""
    import torch
    from torch.nn.functional import cross_entropy

    from likewise.methods.classifiers.prototypical_model import ZeroShotPrototypes

    config = case.config
    network = ZeroShotPrototypes(config["features"], config["attributes"], config["dim"], bias=False)
    network.load_state_dict({"image.weight": tensor_of(case, "image_weight"), "attribute.weight": tensor_of(case, "attribute_weight")})
    attributes = tensor_of(case, "attributes")
    logits = network(tensor_of(case, "features"), attributes)
    loss = cross_entropy(logits, torch.arange(config["batch"]) % config["classes"])
    return {"prototypes": network.prototypes(attributes), "logits": logits, "loss": loss}


def matching(case: Case) -> Mapping[str, Any]:
    """Contextual embeddings, log-probabilities by three rules, loss and gradients through both LSTMs."""
    from torch.nn.functional import nll_loss

    from likewise.functional.support_attention import Kernel, attention, class_probabilities, log_probabilities
    from likewise.methods.classifiers.common import class_major, parted
    from likewise.methods.classifiers.matching_model import full_context_of

    config, network = case.config, full_context_of(weights_of(case))
    supports, queries = (part.flatten(0, 1) for part in parted(tensor_of(case, "z"), config["shot"]))
    labels = class_major(config["way"], config["shot"])

    def answer(these: Tensor, those: Tensor, kernel: Kernel = "sharp") -> Tensor:
        return log_probabilities(class_probabilities(attention(these, those, kernel), labels, config["way"]))

    known, asked = network.supports(supports), network.queries(queries, network.supports(supports), config["steps"])
    loss = nll_loss(answer(asked, known), class_major(config["way"], config["query"]))
    gradients = {f"grad.{name}": strided(gradient, GRADIENTS) for name, gradient in gradients_of(loss, network).items()}
    return {
        "G": known,
        "F": asked,
        "logprobs": answer(asked, known),
        "loss": loss,
        "plain.logprobs": answer(queries, supports),
        "unnormalised.logprobs": answer(asked, known, "support"),
    } | {name: gradient for name, gradient in gradients.items() if name in case.expected}
