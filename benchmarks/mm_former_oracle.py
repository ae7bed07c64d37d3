"""What the best proposal of a trained segmenter would give in the episodes of `likewise evaluate --frame fss`: the bound of any matching.

    python benchmarks/mm_former_oracle.py CHECKPOINT DATA [--part val] [--folds N] [--episodes 60] [--seed 1]

For each query the proposal of the highest soft IoU with the true mask is the answer; beside it the second best, which the published code takes.
mIoU is counted as `likewise evaluate` does: sums of a class over all episodes, the mean over classes, void left out. The support is not looked at.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

from likewise import weights
from likewise.episodes.benchmark import episodes_of
from likewise.episodes.opening import open_benchmark
from likewise.functional.episode_metrics import label_overlap
from likewise.methods.mm_former.objective import soft_iou
from likewise.methods.registry import method_class
from likewise.proposals.trained import Trained
from likewise.task.learning import Place, open_provider

VOID = 255


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data")
    parser.add_argument("--part", default="val")
    parser.add_argument("--folds", type=int)
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--shot", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    benchmark = open_benchmark(arguments.data, folds=arguments.folds)
    source = Trained.opened(arguments.checkpoint)
    provider = open_provider(weights.resolve("auto"), Place(), method_class("proposals")())
    counts = np.zeros((2, 2, 256), np.int64)
    for episode in episodes_of(benchmark, arguments.part, 0, 1, arguments.shot, arguments.episodes, arguments.seed, "fss"):
        truth = benchmark.labels(episode.query)
        label = torch.from_numpy((truth == episode.classes[0]).astype(np.float32))
        (item,) = provider.extract([provider.prepare(benchmark.source(episode.query), (source.wants(),))], source.wants())
        masks = source.propose(item).masks[None]
        order = soft_iou(masks, label[None])[0].argsort(descending=True)
        for place in range(2):
            one = masks[:, order[min(place, len(order) - 1)], None].transpose(0, 1)
            answer = interpolate(one, size=label.shape, mode="bilinear", align_corners=False)[0, 0] > 0.5
            counts[place, :, episode.classes[0]] += label_overlap(answer.numpy(), (truth == episode.classes[0]).astype(int), 2, truth == VOID)[:, 1]
    seen = counts[0, 1] > 0
    for place, name in enumerate(("best", "second best")):
        print(f"{name} proposal: mIoU {100 * (counts[place, 0, seen] / counts[place, 1, seen]).mean():.1f} over {seen.sum()} classes")


if __name__ == "__main__":
    main()
