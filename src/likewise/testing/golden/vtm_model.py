"""Golden files of the whole of VTM: end to end, full size, five crops, bias tuning, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import InputError
from likewise.testing.golden.case import Case
from likewise.testing.golden.vtm import IMAGE_ROOT, given, image_levels, strided, system, weights

if TYPE_CHECKING:
    from torch import Tensor

    from likewise.methods.vtm.model import SupportMemory, Vtm


def model(case: Case) -> Mapping[str, Any]:
    """Logits, probabilities or five-crop predictions of seeded supports and queries, episode by episode."""
    import torch

    with torch.inference_mode():
        tensors = weights(case)
        vtm = system(case, tensors)
        return _five_crops(case, vtm, tensors) if "base_size" in case.config else _episodes(case, vtm, tensors)


def _shared(case: Case, name: str, channels: int) -> Tensor:
    """An input as (B, T, N, ...), also where all channels share images."""
    values = given(case, name)
    if "shared" in case.meta["inputs"][name]:
        return values[None, None].expand(1, channels, *values.shape)
    return values


def _support_labels(case: Case) -> Tensor:
    from likewise.methods.vtm.model import as_label

    labels = given(case, "Y_S")
    return as_label(labels, given(case, "M_S")) if "M_S" in case.meta["inputs"] else labels


def _episodes(case: Case, vtm: Vtm, tensors: Mapping[str, Tensor]) -> Mapping[str, Any]:
    import torch

    labels, rows = _support_labels(case), case.stored["t_idx"]
    support, query = (_shared(case, name, labels.shape[1]) for name in ("X_S", "X_Q"))
    logits = torch.stack([_channels(vtm, tensors, support[b], labels[b], query[b], rows[b]) for b in range(len(labels))])
    outputs = {"logits": logits, "probabilities": logits.sigmoid()}
    main = next(value for name, value in outputs.items() if name in case.expected)
    found: dict[str, Any] = {name: strided(case, name, value) for name, value in outputs.items()}
    found |= {"mean": main.mean(), "std": main.std(correction=0)}
    if any(name.endswith("tokens1") for name in case.expected):
        found |= _tokens(case, vtm, tensors, (support, labels, query), rows)
    return {name: value for name, value in found.items() if name in case.expected}


def _channels(vtm: Vtm, tensors: Mapping[str, Tensor], support: Tensor, labels: Tensor, query: Tensor, rows: NDArray[Any]) -> Tensor:
    """Logits (T, N, 1, H, W) of one episode: at once where its channels share images, else channel by channel."""
    import torch

    if bool((support == support[:1]).all()) and bool((query == query[:1]).all()):
        return vtm.logits(query[0], _memory(vtm, tensors, support[0], labels[:, :, 0], rows)).transpose(0, 1)[:, :, None]
    parts = [vtm.logits(query[t], _memory(vtm, tensors, support[t], labels[t : t + 1, :, 0], rows[t : t + 1]))[:, 0] for t in range(len(rows))]
    return torch.stack(parts)[:, :, None]


def _memory(vtm: Vtm, tensors: Mapping[str, Tensor], images: Tensor, labels: Tensor, rows: Any) -> SupportMemory:
    from likewise.backbones.biases import chosen
    from likewise.methods.vtm.checkpoint import biases_in

    return vtm.remember(images, labels, chosen(biases_in(tensors), np.asarray(rows).tolist()))


def _tokens(case: Case, vtm: Vtm, tensors: Mapping[str, Tensor], inputs: tuple[Tensor, Tensor, Tensor], rows: NDArray[Any]) -> Mapping[str, Any]:
    """Tokens of the first and last level of the first channel, as far as the file has them."""
    import torch

    support, labels, query = inputs
    grid = vtm.grid(query)
    memory = _memory(vtm, tensors, support[0, 0], labels[0, :1, :, 0], rows[0, :1])
    kinds = {
        "query": image_levels(case, tensors, query, rows),
        "label": [torch.unflatten(level.transpose(1, 2), 2, grid)[None, None] for level in vtm.head.label_tokens(labels[0, 0, :, 0])],
        "matched": [torch.unflatten(level[:, 0].transpose(1, 2), 2, grid)[None, None] for level in vtm.matched(query[0, 0], memory)],
    }
    names = {f"{kind}_tokens{level}": levels[level - 1] for kind, levels in kinds.items() for level in (1, 2, 3, 4)}
    return {name: strided(case, name, tensor) for name, tensor in names.items()}


def _five_crops(case: Case, vtm: Vtm, tensors: Mapping[str, Tensor]) -> Mapping[str, Any]:
    """Predictions of queries by five crops; stage 1, the validation of tuning, sees the first half of the support, cut in the middle."""
    import torch

    from likewise.episodes.taskonomy.tasks import THRESHOLD
    from likewise.methods.vtm.crops import official_scores, probabilities

    config = case.config
    images, labels, queries = given(case, "X_S"), _support_labels(case)[0, :, :, 0], given(case, "X")
    crop = config["crop"]
    if config["stage"] == 1:
        images, labels = images[: config["support"]], labels[:, : config["support"]]
    down, right = (images.shape[-2] - crop) // 2, (images.shape[-1] - crop) // 2
    images, labels = (part[..., down : down + crop, right : right + crop] for part in (images, labels))
    memory = _memory(vtm, tensors, images, labels, range(len(labels)))
    categorical = torch.full((len(labels),), "binary" in case.expected)
    found = official_scores(vtm, queries, memory, (crop, crop), categorical)
    outputs: dict[str, Any] = {"prediction": found, "binary": (probabilities(found, categorical) > THRESHOLD).to(torch.uint8)}
    return {name: value for name, value in outputs.items() if name in case.expected}


def tuning(case: Case) -> Mapping[str, Any]:
    """Losses of a few steps, the first gradient, and how far the biases moved."""
    import torch

    from likewise.methods.vtm.checkpoint import biases_in
    from likewise.methods.vtm.tuning import Labelled, Tuner, TuningSettings, TuningState

    config, tensors = case.config, weights(case)
    entropy = "cross entropy" in config["loss"]  # on every channel; the mean is over all pixels in either case
    labels, known = given(case, "Y")[0, :, :, 0], given(case, "M")[0, :, :, 0].float()
    examples = Labelled(given(case, "X"), labels, known, torch.full((len(labels),), entropy))
    start = biases_in(tensors)
    settings = TuningSettings(learning_rate=config["lr"], all_pixels=True)
    tuner = Tuner(system(case, tensors), TuningState(start, start), settings)
    support, query = (examples.subset(part) for part in torch.split(torch.arange(len(examples)), config["support"]))
    order = [name.removeprefix(IMAGE_ROOT) for name in config["names"]]
    losses, first = [], None
    for _ in range(config["steps"]):
        losses.append(tuner.step(support, query))
        if first is None:
            first = torch.cat([_gradient(tuner.biases[name]).flatten() for name in order])
    moved = torch.cat([(tuner.biases[name].detach() - start[name]).flatten() for name in order])
    return {"losses": np.array(losses, np.float32), "grad_step0": first, "delta": moved}


def _gradient(parameter: Tensor) -> Tensor:
    return parameter.new_zeros(parameter.shape) if parameter.grad is None else parameter.grad.clone()


def checkpoint(case: Case) -> Mapping[str, Any]:
    """Published BEiT weights in the image encoder, or a meta-trained and a fine-tuned file, and both merged."""
    import torch

    with torch.inference_mode():
        return _pair(case) if "meta_file" in case.config else _beit(case)


def _beit(case: Case) -> Mapping[str, Any]:
    """The release naming: one table for all blocks, biases repeated for every channel."""
    import torch

    from likewise.backbones.biases import repeated
    from likewise.methods.vtm.checkpoint import IMAGE, from_beit, image_encoder

    published = {name: torch.from_numpy(array) for name, array in case.weights().items()}
    tensors = from_beit(published, case.config["n_tasks"])
    images = given(case, "X")
    network = image_encoder(tensors)
    assert network is not None
    assert repeated(network, network.config.depth, 1).keys() <= {name.removeprefix(IMAGE) for name in tensors}
    rows = np.arange(images.shape[1])[None].repeat(len(images), axis=0)
    levels = image_levels(case, tensors, images, rows)
    return {f"level{index}": level for index, level in enumerate(levels, start=1) if f"level{index}" in case.expected}


def _pair(case: Case) -> Mapping[str, Any]:
    from likewise.methods.convert import onto
    from likewise.methods.vtm.checkpoint import converted
    from likewise.weights import read_lightning

    meta_file, tuned_file = (_beside(case, case.config[name]) for name in ("meta_file", "finetuned_file"))
    meta, tuned = read_lightning(meta_file), read_lightning(tuned_file)
    found: dict[str, Any] = {"checksum_meta": _sums(meta), "checksum_finetuned": _sums(tuned)}
    ours = converted(meta)
    for name in case.expected:
        if name.startswith("logits_meta_rows_"):
            found[name] = _pair_logits(case, ours, [int(row) for row in name.removeprefix("logits_meta_rows_").split("_")])
    if "logits_finetuned" in case.expected:
        found["logits_finetuned"] = _pair_logits(case, converted(onto(meta, tuned)), [0, 1])
    return found


def _pair_logits(case: Case, tensors: Mapping[str, Tensor], rows: list[int]) -> Tensor:
    labels = given(case, "Y_S")
    support, query = (_shared(case, name, labels.shape[1]) for name in ("X_S", "X_Q"))
    return _channels(system(case, tensors), tensors, support[0], labels[0], query[0], np.array(rows))[None]


def _sums(tensors: Mapping[str, Tensor]) -> NDArray[np.float64]:
    return np.array([float(tensors[name].double().sum()) for name in sorted(tensors)])


def _beside(case: Case, name: str) -> Any:
    """A file that lies beside the golden files."""
    path = case.folders.data.parent / "golden" / name
    if not path.is_file():
        raise InputError(f"{name} is not beside the golden files", where=case.name, remedy="Fetch it again")
    return path
