"""Frozen feature extractors behind one call: networks, engines and the feature provider."""

from likewise.backbones.engines import is_out_of_memory, pick_device
from likewise.backbones.features import FeatureSpec, ImageFeatures, StageTimes
from likewise.backbones.provider import FeatureProvider, Prepared
from likewise.backbones.registry import ARCHITECTURES, RANDOM, Backbone, from_tensors, load_backbone
from likewise.backbones.store import CacheCounts, FeatureStore, folder_of_environment

__all__ = [
    "ARCHITECTURES",
    "RANDOM",
    "Backbone",
    "CacheCounts",
    "FeatureProvider",
    "FeatureSpec",
    "FeatureStore",
    "ImageFeatures",
    "Prepared",
    "StageTimes",
    "folder_of_environment",
    "from_tensors",
    "is_out_of_memory",
    "load_backbone",
    "pick_device",
]
