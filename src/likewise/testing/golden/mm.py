"""Golden files of the parts of MM-Former: backbone, segmenter, alignment, matching (`mm_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case

if TYPE_CHECKING:
    from torch import Tensor

    from likewise.methods.mm_former.matching import Matching
    from likewise.proposals.segmenter import Segmenter

HALF = np.s_[..., ::2, ::2]


def given(case: Case, name: str) -> Tensor:
    """An input: made by its recipe, images as RGB 0..255 (1, 3, H, W), or stored."""
    import torch

    recipe = case.meta["inputs"].get(name)
    if recipe is None:
        return torch.from_numpy(case.stored[name].copy())
    if recipe["seeded"] == "image":
        pixels = seeded.image(recipe.get("name", name), recipe["height"], recipe["width"], case.seed)
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    numbers = torch.from_numpy(seeded.uniform(name, recipe["shape"], case.seed, recipe.get("low", -1), recipe.get("high", 1)))
    return numbers.sigmoid() if recipe.get("then") == "sigmoid" else numbers


def weights(case: Case) -> dict[str, Tensor]:
    """The seeded tensors by official names."""
    import torch

    return {name: torch.from_numpy(array) for name, array in case.weights().items()}


def stat(values: Tensor) -> Tensor:
    """The mean and the population deviation of all numbers."""
    import torch

    return torch.stack([values.mean(), values.std(correction=0)])


def normalised(images: Tensor) -> Tensor:
    """Images of 0..255, normalised, with zeros at the right and bottom up to multiples of 32."""
    import torch
    from torch.nn.functional import pad

    from likewise.backbones.resnet import IMAGENET_MEAN, IMAGENET_STD

    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    found = (images - mean) / std
    return pad(found, (0, -images.shape[3] % 32, 0, -images.shape[2] % 32))


def segmenter(case: Case) -> Segmenter:
    """The segmenter of a case that holds all of it or a part; parts that are not there have numbers that nothing reads."""
    from likewise.proposals.checkpoint import segmenter_names
    from likewise.proposals.segmenter import Segmenter, SegmenterConfig

    own, tensors = case.config, {name.removeprefix("sem_seg_head."): tensor for name, tensor in weights(case).items() if name.startswith("sem_seg_head.")}
    base = 4 * own["base"]
    shape = SegmenterConfig(
        channels=(base, 2 * base, 4 * base, 8 * base),
        same_size="same_stride" in case.name or str(own.get("architecture", "")).endswith("_svf"),
        width=own["hidden"],
        heads=own["heads"],
        queries=own["queries"],
        encoder_layers=own["encoder_layers"],
        encoder_hidden=own["encoder_ffn"],
        decoder_layers=own["decoder_layers"],
        decoder_hidden=own["decoder_ffn"],
    )
    module = Segmenter(shape).eval()
    found = module.load_state_dict(segmenter_names(tensors), strict=False)
    assert not found.unexpected_keys
    return module


def backbone(case: Case) -> Mapping[str, Any]:
    """All stages of a factorised backbone."""
    import torch

    from likewise.layers.singular import merged
    from likewise.methods.mm_former.checkpoint import backbone_of

    with torch.inference_mode():
        tensors = {f"backbone.{name}": tensor for name, tensor in merged(weights(case)).items() if not name.endswith("num_batches_tracked")}
        network = backbone_of(tensors)
        assert network is not None
        maps = network(normalised(given(case, "query")))
    found: dict[str, Any] = {}
    for place, x in enumerate(maps):
        step = 4 if place < 2 else 2
        found |= {f"layer{place}": x[:, ::2, ::step, ::step], f"layer{place}_stat": stat(x)}
    return found


def singular_values(case: Case) -> Mapping[str, Any]:
    """Convolutions taken apart, or made of given factors."""
    import torch
    from torch.nn.functional import conv2d

    from likewise.layers.singular import Factors, factors_of, kernel_of

    found: dict[str, Any] = {}
    if "convolutions" not in case.config:
        own, shape = weights(case), case.config
        kernel = kernel_of(Factors(own["conv.conv_V.weight"], own["conv.vector_S"], own["conv.conv_U.weight"]))
        return {"y": conv2d(given(case, "x"), kernel, None, shape["stride"], shape["padding"], shape["dilation"])[:, ::2]}
    for place, shape in enumerate(case.config["convolutions"]):
        kernel, x = weights(case)[f"conv{place}.weight"], given(case, f"x.{place}")
        factors = factors_of(kernel)
        how = {"stride": shape["stride"], "padding": shape["dilation"] * (shape["kernel"] // 2), "dilation": shape["dilation"]}
        rebuilt = kernel_of(factors)
        answer = conv2d(x, rebuilt, **how)
        found |= {
            f"singular_{place}": factors.strengths.flatten(),
            f"y_{place}": answer[:, ::4],
            f"dropped_{place}": (answer - conv2d(x, kernel, **how)).abs().max(),
            f"product_{place}": rebuilt.flatten(1)[::4, ::3],
        }
        torch.testing.assert_close(factors.strengths.numel(), case.config["ranks"][place])
    return found


def positions(case: Case) -> Mapping[str, Any]:
    """A sine position map."""
    from likewise.methods.mm_former.alignment import sine_position

    return {"pos": sine_position(case.config["height"], case.config["width"], case.config["channels"])[None]}


def deformable(case: Case) -> Mapping[str, Any]:
    """Multi-scale deformable attention alone."""
    import torch

    shapes = [(height, width) for height, width in case.config["shapes"]]
    with torch.inference_mode():
        encoder: Any = segmenter(case).pixels.encoder
        ratios = torch.ones(1, len(shapes), 2)
        places = encoder.get_reference_points(shapes, ratios, "cpu")
        query, value = given(case, "query"), given(case, "value")
        attended, _ = encoder.layers[0].self_attn(
            query, encoder_hidden_states=value, reference_points=places.expand(len(query), -1, -1, -1), spatial_shapes_list=shapes
        )
    return {"reference": places[0, :, 0], "attended": attended[:, ::5], "attended_stat": stat(attended)}


def pixel_decoder(case: Case) -> Mapping[str, Any]:
    """The pixel decoder."""
    import torch

    with torch.inference_mode():
        joined = segmenter(case).pixels([given(case, f"res{stage}") for stage in range(2, 6)])
    coarse, middle, fine = joined.multi_scale_features
    return {
        "mask_features": joined.mask_features[HALF],
        "scale_0": coarse,
        "scale_1": middle[HALF],
        "scale_2": fine[HALF],
        "mask_features_stat": stat(joined.mask_features),
        "scale_2_stat": stat(fine),
    }


def decoder(case: Case) -> Mapping[str, Any]:
    """The masked transformer decoder; its masks without those of earlier layers must be the same."""
    import torch

    with torch.inference_mode():
        module = segmenter(case)
        scales, finest = [given(case, f"scale.{level}") for level in range(3)], given(case, "mask_features")
        found, last = module.decoded(scales, finest, earlier=True), module.decoded(scales, finest)
        torch.testing.assert_close(found.logits, last.logits, atol=1e-4, rtol=1e-4)
        embedded = module.attention.decoder.mask_predictor.mask_embedder(found.queries)
    return {
        "masks": found.logits[HALF],
        "masks_stat": stat(found.logits),
        "aux_masks": torch.stack(found.earlier)[..., ::4, ::4],
        "mask_embed": embedded,
        "decoder_output": found.queries,
    }


def matching(case: Case) -> Matching:
    """The matching module of a case, with the tensors that it holds."""
    from likewise.methods.mm_former.checkpoint import UNUSED
    from likewise.methods.mm_former.matching import Matching, MatchingConfig

    own = case.config
    base = 4 * own["base"]
    module = Matching(
        MatchingConfig(
            channels=(8 * base, 4 * base, 2 * base),
            width=own["hidden"],
            heads=own["cross_heads"],
            hidden=own["cross_ffn"],
            layers=own["cross_layers"],
            proposals=own["queries"],
        )
    ).eval()
    tensors = {name: tensor for name, tensor in weights(case).items() if name.startswith(("conv_", "crossat_", "fc")) and not name.startswith(UNUSED)}
    found = module.load_state_dict(tensors, strict=False)
    assert not found.unexpected_keys
    return module


def self_alignment(case: Case) -> Mapping[str, Any]:
    """The gate of the channels."""
    from likewise.methods.mm_former.alignment import self_aligned

    return {"aligned": self_aligned(given(case, "x"))}


def cross_alignment(case: Case) -> Mapping[str, Any]:
    """One cross-alignment block in both directions."""
    import torch

    from likewise.methods.mm_former.alignment import keeps_size, memory_size, shrunk

    query, support, query_place, support_place = (given(case, name) for name in ("query", "support", "query_position", "support_position"))
    whole = keeps_size((query.shape[2], query.shape[3]))

    def memory(x: Tensor) -> Tensor:
        return (x if whole else shrunk(x, memory_size((x.shape[2], x.shape[3])))).flatten(2).transpose(1, 2)

    with torch.inference_mode():
        block = matching(case).get_submodule("crossat_1")
        pairs = {"query": (query, query_place, support, support_place), "support": (support, support_place, query, query_place)}
        found: dict[str, Any] = {}
        for name, (x, place, other, other_place) in pairs.items():
            aligned = block(x.flatten(2).transpose(1, 2), place.flatten(2).transpose(1, 2), memory(other), memory(other_place))
            aligned = aligned.transpose(1, 2).reshape(x.shape)
            found |= {name: aligned[HALF], f"{name}_stat": stat(aligned)}
    return found


def matched(case: Case) -> Mapping[str, Any]:
    """Masked averages, cosines, coefficients and merge, without cross-alignment."""
    import torch

    from likewise.methods.mm_former.matching import merged, proposal_means, similarity_of

    with torch.inference_mode():
        module, proposals, labels = matching(case), given(case, "proposals"), given(case, "labels")
        query = [given(case, f"query.{level}") for level in range(3)]
        shots = []
        for shot in range(case.config["shots"]):
            maps = [given(case, f"support.{shot}.{level}") for level in range(3)]
            shots.append(module.support_sides(maps, torch.where(labels[:, shot] == 255, 0, labels[:, shot]).float()))
        prototypes = [torch.cat(module.aligned(module.query_sides(query), shot, cross=False)[1], dim=1) for shot in shots]
        prototype, asked = torch.stack(prototypes).mean(dim=0), proposal_means(query, proposals)
        similarity = similarity_of(asked, prototype)
        coefficients = module.coefficients(similarity)
        foreground = merged(proposals, coefficients, case.config["image"])
    return {
        "masked_support_0": shots[0][0].map,
        "masked_position_0": shots[0][0].place,
        "support_prototype": prototype[:, None],
        "query_prototypes": asked,
        "similarity": similarity[:, None],
        "coefficients": coefficients,
        "foreground": foreground[HALF],
    }
