"""Checkpoints of MM-Former: the published layouts and ours.

Ours holds `backbone.*` with one kernel for each convolution, `segmenter.*` with the names of `transformers`, and `matching.*`. A
checkpoint trained here leaves the backbone out: it is one of the program's, named when learning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from likewise.backbones.checkpoint import check_layout, filled
from likewise.backbones.resnet import ResNet, ResNetConfig
from likewise.errors import WeightsError
from likewise.layers.singular import merged
from likewise.methods.mm_former.matching import MatchingConfig
from likewise.methods.mm_former.model import MaskMatcher
from likewise.proposals.checkpoint import segmenter_config, segmenter_names
from likewise.proposals.segmenter import SegmenterConfig

BACKBONE, SEGMENTER, MATCHING = "backbone.", "segmenter.", "matching."
UNUSED = ("criterion.", "crossat_3.", "crossat_4x.", "sem_seg_head.pixel_decoder.crossat_")
_MATCHING = ("conv_", "crossat_", "fc1.", "fc2.")
_FIRST = (  # the backbone of the first release, as detectron2 names it
    (r"^backbone\.stem\.conv1\.norm\.", "layer0.1."),
    (r"^backbone\.stem\.conv1\.", "layer0.0."),
    (r"^backbone\.res(\d)\.(\d+)\.shortcut\.norm\.", lambda m: f"layer{int(m[1]) - 1}.{m[2]}.downsample.1."),
    (r"^backbone\.res(\d)\.(\d+)\.shortcut\.", lambda m: f"layer{int(m[1]) - 1}.{m[2]}.downsample.0."),
    (r"^backbone\.res(\d)\.(\d+)\.conv(\d)\.norm\.", lambda m: f"layer{int(m[1]) - 1}.{m[2]}.bn{m[3]}."),
    (r"^backbone\.res(\d)\.(\d+)\.conv(\d)\.", lambda m: f"layer{int(m[1]) - 1}.{m[2]}.conv{m[3]}."),
)


def converted(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published checkpoint by our names, the factors of the backbone multiplied out; WeightsError for tensors that do not belong to one."""
    found: dict[str, Tensor] = {}
    backbone: dict[str, Tensor] = {}
    segmenter: dict[str, Tensor] = {}
    for name, tensor in official.items():
        if name.startswith(UNUSED) or name.endswith("num_batches_tracked"):
            continue
        if name.startswith("sem_seg_head."):
            segmenter[name.removeprefix("sem_seg_head.").replace("pixel_decoder.pixel_decoder.", "pixel_decoder.")] = tensor
        elif name.startswith(_MATCHING):
            found[MATCHING + name] = tensor
        else:
            backbone[_plain(name)] = tensor
    found |= {BACKBONE + name: tensor for name, tensor in merged(backbone).items()}
    found |= {SEGMENTER + name: tensor for name, tensor in segmenter_names(segmenter).items()}
    matcher_of(found)
    backbone_of(found)
    return found


def matcher_of(tensors: Mapping[str, Tensor], *, heads: int = 8, matching_heads: int = 4, same_size: bool = False) -> MaskMatcher:
    """Segmenter and matching of one of our checkpoints, sizes taken from the tensors; how many heads no tensor says.

    A checkpoint of the first stage has no matching: it is then an untrained one. Raises WeightsError for tensors that do not fit.
    """
    own = {name: tensor.float() for name, tensor in tensors.items() if name.startswith((SEGMENTER, MATCHING))}
    shape = segmenter_config(_part(own, SEGMENTER), heads=heads, same_size=same_size)
    matching = _part(own, MATCHING)
    try:
        config = (
            MatchingConfig(
                channels=tuple(matching[f"conv_{level}.weight"].shape[1] for level in range(3)),
                width=matching["conv_0.weight"].shape[0],
                heads=matching_heads,
                hidden=matching["crossat_0.transformer_ffn_layers.0.linear1.weight"].shape[0],
                layers=1 + max(int(name.split(".")[2]) for name in matching if name.startswith("crossat_0.transformer_ffn_layers.")),
                proposals=matching["fc1.weight"].shape[1],
            )
            if matching
            else MatchingConfig(channels=shape.channels[:0:-1], width=shape.width, heads=matching_heads, proposals=shape.queries)
        )
    except (KeyError, IndexError, ValueError) as error:
        raise WeightsError(
            f"it is no checkpoint of MM-Former, or not whole ({error})",
            where="checkpoint",
            remedy="Convert a published one by `likewise weights convert mm-former`, or train one",
        ) from error
    if matching and config.proposals != shape.queries:
        raise WeightsError(
            f"its matching weighs {config.proposals} proposals, its segmenter makes {shape.queries}", where="checkpoint", remedy="Take both from one training"
        )
    with torch.device("meta"):
        module = MaskMatcher(shape, config)
    if not matching:
        untrained = MaskMatcher(shape, config).matching.state_dict()
        own |= {MATCHING + name: tensor for name, tensor in untrained.items()}
    return filled(module, own)


def untrained(channels: int, width: int, queries: int, seed: int = 0) -> MaskMatcher:
    """A small network with initial numbers, always the same, for maps of so many channels each."""
    shape = SegmenterConfig(
        channels=(channels,) * 4, width=width, queries=queries, encoder_layers=1, encoder_hidden=2 * width, decoder_layers=3, decoder_hidden=2 * width
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = MaskMatcher(shape, MatchingConfig(channels=(channels,) * 3, width=width, hidden=2 * width, proposals=queries))
    return module.eval().requires_grad_(False)


def backbone_of(tensors: Mapping[str, Tensor]) -> ResNet | None:
    """The backbone of one of our checkpoints, None where it has none. Raises WeightsError for tensors that do not fit."""
    own = _part(tensors, BACKBONE)
    if not own:
        return None
    stem = [own[name].shape[0] for name in sorted(own) if re.fullmatch(r"layer0\.\d\.weight", name) and own[name].ndim == 4]
    try:
        blocks = tuple(1 + max(int(name.split(".")[1]) for name in own if name.startswith(f"layer{stage}.")) for stage in range(1, 5))
        config = ResNetConfig(blocks=blocks, base=own["layer1.0.conv1.weight"].shape[0], stem=tuple(stem), output_stride=8 if len(stem) > 1 else 32)
    except (KeyError, ValueError) as error:
        raise WeightsError(f"its backbone is not whole ({error})", where="checkpoint", remedy="Fetch it again") from error
    return opened(ResNet, config, own)


def opened(kind: type[ResNet], config: ResNetConfig, tensors: Mapping[str, Tensor]) -> ResNet:
    """A network in evaluation mode with given tensors, all of them."""
    with torch.device("meta"):
        network = kind(config)
    layout = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    check_layout(tensors, layout, "checkpoint")
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False, assign=True)
    _count_nothing(network)
    return network.eval().requires_grad_(False)


def _count_nothing(network: nn.Module) -> None:
    """Norms begin to count batches at 0, since no checkpoint of ours says how many there were."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked = torch.zeros((), dtype=torch.long)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _plain(name: str) -> str:
    for pattern, plain in _FIRST:
        name, count = re.subn(pattern, plain, name)
        if count:
            break
    return name
