"""A small segmenter with its matching, its backbone, and what the tests of MM-Former show to them; all sizes differ."""

import numpy as np
import torch

from likewise.backbones.resnet import ResNet, ResNetConfig
from likewise.data import Example, Support
from likewise.layers.singular import factorise
from likewise.methods.mm_former.matching import MatchingConfig
from likewise.methods.mm_former.model import MaskMatcher
from likewise.proposals.segmenter import SegmenterConfig

CHANNELS = (16, 32, 64, 128)  # of the small backbone, the finest first
SEGMENTER = SegmenterConfig(channels=CHANNELS, width=32, heads=8, queries=7, encoder_layers=1, encoder_hidden=40, decoder_layers=3, decoder_hidden=24)
MATCHING = MatchingConfig(channels=CHANNELS[:0:-1], width=32, heads=2, hidden=28, proposals=7)
BACKBONE = ResNetConfig(blocks=(1, 2, 1, 1), base=4, stem=(8, 8, 12), output_stride=8)


def noise(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def small_matcher(segmenter=SEGMENTER, matching=MATCHING, seed=0):
    """A network whose proposals differ: initial ones would be a half everywhere."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = MaskMatcher(segmenter, matching).eval().requires_grad_(False)
        for name, tensor in module.named_parameters():
            if "mask_embedder" in name:
                tensor.normal_(std=0.4)
            if name.startswith("segmenter") and "queries_" in name:
                tensor.normal_()
    return module


def small_backbone(config=BACKBONE, seed=0):
    """A backbone whose norms have seen something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ResNet(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(noise(seed, 2, 3, 96, 96))
    return network.eval().requires_grad_(False)


def maps(seed, batch=1, grid=(12, 14)):
    """Features of four stages as a dilated backbone gives them."""
    sizes = [(2 * grid[0], 2 * grid[1]), grid, grid, grid]
    return [noise(10 * seed + level, batch, channels, *size) for level, (channels, size) in enumerate(zip(CHANNELS, sizes, strict=True))]


def labels(seed, batch=1, size=(48, 56)):
    """A rectangle in each image."""
    found = torch.zeros(batch, *size)
    for index in range(batch):
        top, left = 3 + 2 * ((seed + index) % 5), 5 + 3 * ((seed + 2 * index) % 4)
        found[index, top : top + 20, left : left + 23] = 1
    return found


def official_names(module, network=None, factors=True):
    """The tensors of a network as the published code names them; of the first stage without a matching."""
    found = {}
    if network is not None:
        own = small_backbone(network.config)
        own.load_state_dict(network.state_dict())
        if factors:
            factorise(own)
        found |= own.state_dict()
    for name, tensor in module.segmenter.state_dict().items():
        found |= {f"sem_seg_head.{old}": part for old, part in _segmenter_name(name, tensor, module.segmenter.state_dict())}
    found |= module.matching.state_dict()
    found |= {"criterion.empty_weight": torch.ones(151), "crossat_3.linear.weight": torch.zeros(2, 2)}
    return found


def _segmenter_name(name, tensor, every):
    part, _, rest = name.partition(".")
    if part == "pixels":
        for new, old in (
            ("input_projections.", "input_proj."),
            ("self_attn_layer_norm.", "norm1."),
            ("final_layer_norm.", "norm2."),
            ("fc1.", "linear1."),
            ("fc2.", "linear2."),
            ("mask_projection.", "mask_features."),
            ("adapter_1.0.", "adapter_1."),
            ("adapter_1.1.", "adapter_1.norm."),
            ("layer_1.0.", "layer_1."),
            ("layer_1.1.", "layer_1.norm."),
        ):
            rest = rest.replace(new, old)
        yield "pixel_decoder." + ("transformer." + rest if rest.startswith(("encoder.", "level_embed")) else rest), tensor
        return
    if not rest.startswith("decoder."):
        yield "predictor." + rest.replace("queries_features.", "query_feat.").replace("queries_embedder.", "query_embed."), tensor
        return
    rest = rest.removeprefix("decoder.")
    if rest.startswith("layernorm."):
        yield "predictor.decoder_norm." + rest.removeprefix("layernorm."), tensor
    elif rest.startswith("mask_predictor."):
        _, _, index, _, kind = rest.split(".")
        yield f"predictor.mask_embed.layers.{index}.{kind}", tensor
    else:
        _, layer, place, *end = rest.split(".")
        kind = ".".join(end)
        if place == "self_attn" and kind.startswith(("q_proj", "k_proj", "v_proj")):
            if kind.startswith("q_proj"):
                whole = torch.cat([every[name.replace("q_proj", f"{which}_proj")] for which in "qkv"])
                yield f"predictor.transformer_self_attention_layers.{layer}.self_attn.in_proj_{kind.split('.')[1]}", whole
            return
        where = {
            "cross_attn": "cross_attention_layers.{}.multihead_attn",
            "cross_attn_layer_norm": "cross_attention_layers.{}.norm",
            "self_attn": "self_attention_layers.{}.self_attn",
            "self_attn_layer_norm": "self_attention_layers.{}.norm",
            "fc1": "ffn_layers.{}.linear1",
            "fc2": "ffn_layers.{}.linear2",
            "final_layer_norm": "ffn_layers.{}.norm",
        }[place]
        yield f"predictor.transformer_{where.format(layer)}.{kind}", tensor


def picture(seed, size=(60, 74)):
    """A picture with a bright rectangle, and where it is."""
    random = np.random.default_rng(seed)
    image, mask = random.integers(0, 90, (*size, 3), np.uint8), np.zeros(size, bool)
    top, left = random.integers(4, 24, 2)
    mask[top : top + 25, left : left + 28] = True
    image[mask] += 140
    return image, mask


def examples(count=1, classes=("square",), size=(60, 74)):
    """Pictures of each class in turn."""
    made = [picture(index, size) for index in range(count)]
    return [Example(image, f"{index}", masks={classes[index % len(classes)]: mask}) for index, (image, mask) in enumerate(made)]


def support(count=1, classes=("square",), size=(60, 74)):
    """The same as a support."""
    return Support(examples(count, classes, size), classes=list(classes))
