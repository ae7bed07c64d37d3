"""Which runner a kind of golden file has: a plain table, each runner loaded when a file asks for it.

A runner is a function of a `Case` that returns its outputs by name (`out.` left out): arrays or tensors to be compared
by the file's tolerances, or `Judged` where the kind compares by a rule of its own. It raises `Skip` with the reason
where this installation cannot run it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from likewise.testing.golden.case import Case

Runner = Callable[[Case], Mapping[str, Any]]

KINDS: dict[str, str] = {
    "cst_posembed": "likewise.testing.golden.cst:position_embedding",
    "cst_pseudomask": "likewise.testing.golden.cst:pseudo_mask",
    "cst_losses": "likewise.testing.golden.cst:losses",
    "cst_kshot": "likewise.testing.golden.cst:shots",
    "cst_model": "likewise.testing.golden.cst_model:model",
    "cst_taps": "likewise.testing.golden.taps:taps",
    "cst_hsnet": "likewise.testing.golden.hsnet:hsnet",
    "cst_asnet": "likewise.testing.golden.asnet:asnet",
    "cst_panet": "likewise.testing.golden.panet:panet",
    "cst_pfenet": "likewise.testing.golden.pfenet:pfenet",
    "cst_metrics": "likewise.testing.golden.cst_lab:metrics",
    "cst_data": "likewise.testing.golden.cst_lab:item",
    "cst_episodes": "likewise.testing.golden.cst_lab:episodes",
    "vtm_losses": "likewise.testing.golden.vtm:losses",
    "vtm_encoder": "likewise.testing.golden.vtm:encoder",
    "vtm_matching": "likewise.testing.golden.vtm:matching",
    "vtm_decoder": "likewise.testing.golden.vtm:decoder",
    "vtm_model": "likewise.testing.golden.vtm_model:model",
    "vtm_full": "likewise.testing.golden.vtm_model:model",
    "vtm_finetune": "likewise.testing.golden.vtm_model:tuning",
    "vtm_checkpoint": "likewise.testing.golden.vtm_model:checkpoint",
    "vtm_data": "likewise.testing.golden.vtm_data:data",
    "la_vit": "likewise.testing.golden.la:encoder",
    "la_prompt": "likewise.testing.golden.la:prompts",
    "la_twoway": "likewise.testing.golden.la:two_way",
    "la_prototypes": "likewise.testing.golden.la:prototypes",
    "la_model": "likewise.testing.golden.la:model",
    "la_full": "likewise.testing.golden.la_full:full",
    "la_losses": "likewise.testing.golden.la_lab:losses",
    "la_preprocess": "likewise.testing.golden.la_lab:preprocess",
    "la_prompts_from_masks": "likewise.testing.golden.la_lab:from_masks",
    "la_episodes": "likewise.testing.golden.la_lab:episodes",
    "la_metrics": "likewise.testing.golden.la_lab:metrics",
    "mm_backbone": "likewise.testing.golden.mm:backbone",
    "mm_svf": "likewise.testing.golden.mm:singular_values",
    "mm_sine": "likewise.testing.golden.mm:positions",
    "mm_deform_attn": "likewise.testing.golden.mm:deformable",
    "mm_pixel_decoder": "likewise.testing.golden.mm:pixel_decoder",
    "mm_transformer_decoder": "likewise.testing.golden.mm:decoder",
    "mm_self_alignment": "likewise.testing.golden.mm:self_alignment",
    "mm_cross_alignment": "likewise.testing.golden.mm:cross_alignment",
    "mm_matching": "likewise.testing.golden.mm:matched",
    "mm_pos": "likewise.testing.golden.mm_model:segmented",
    "mm_model": "likewise.testing.golden.mm_model:model",
    "mm_train": "likewise.testing.golden.mm_model:training",
    "mm_losses": "likewise.testing.golden.mm_lab:losses",
    "mm_episodes": "likewise.testing.golden.mm_lab:episodes",
    "mm_preprocess": "likewise.testing.golden.mm_lab:preprocess",
    "mm_targets": "likewise.testing.golden.mm_lab:targets",
    "mm_metrics": "likewise.testing.golden.mm_lab:metrics",
    "fs_encoder": "likewise.testing.golden.fs_encoders:encoder",
    "fs_proto_zero_shot": "likewise.testing.golden.fs_metric:zero_shot",
    "fs_proto": "likewise.testing.golden.fs_metric:prototypical",
    "fs_matching": "likewise.testing.golden.fs_metric:matching",
    "fs_relation": "likewise.testing.golden.fs_pairs:relation",
    "fs_zero_shot_relation": "likewise.testing.golden.fs_pairs:zero_shot_relation",
    "fs_siamese": "likewise.testing.golden.fs_pairs:siamese",
    "fs_episodes": "likewise.testing.golden.fs_protocols:episodes",
    "fs_interval": "likewise.testing.golden.fs_protocols:interval",
    "fs_omniglot_images": "likewise.testing.golden.fs_protocols:omniglot_images",
    "fs_lake_runs": "likewise.testing.golden.fs_protocols:lake_runs",
    "fs_cosine_head": "likewise.testing.golden.fs_adapting:cosine_head",
    "fs_finetune": "likewise.testing.golden.fs_adapting:tuning",
    "fs_db_index": "likewise.testing.golden.fs_adapting:davies_bouldin_index",
    "fs_maml": "likewise.testing.golden.fs_adapting:maml",
    "fs_analogy": "likewise.testing.golden.fs_hallucination:analogies",
    "fs_shrink": "likewise.testing.golden.fs_hallucination:shrinking",
    "fs_kmeans": "likewise.testing.golden.fs_hallucination:k_means_centres",
    "fs_hallucinator": "likewise.testing.golden.fs_hallucination:hallucinator",
    "peer_emat": "likewise.testing.golden.emat:emat",
    "peer_insid3": "likewise.testing.golden.insid3:insid3",
    "peer_convpaint": "likewise.testing.golden.convpaint:convpaint",
    "peer_matcher": "likewise.testing.golden.peers_matching:matcher",
    "peer_persam": "likewise.testing.golden.peers_matching:persam",
    "peer_gfsam": "likewise.testing.golden.peers_matching:gf_sam",
}


@dataclass(frozen=True)
class Judged:
    """The verdict of a kind's own rule: the deviation in units of what is allowed."""

    deviation: float


class Skip(Exception):  # noqa: N818 (a statement, not an error)
    """A case that this installation cannot run; the reason is its text."""


def runner_of(kind: str, *, named: bool = True) -> Runner | None:
    """The runner of a kind; None for an unknown one. named: False for a file that does not say its kind, whose name begins with it."""
    place = KINDS.get(kind) or next((KINDS[known] for known in KINDS if not named and kind.startswith(f"{known}_")), None)
    if place is None:
        return None
    module, function = place.split(":")
    runner: Runner = getattr(importlib.import_module(module), function)
    return runner
