"""A small DAGAN on the characters that train, as far as a number of minutes goes, and a sheet of what it makes of new characters.

    python benchmarks/dagan_characters.py [--minutes N]

bench/dagan/generator.safetensors, critic.safetensors   both networks as they are now; another call goes on from them, with optimisers anew
bench/dagan/rounds.json                                 rounds done and the losses of some
bench/dagan/sheet.png                                   rows of test characters: the drawing, five images made of it, another drawing of its class

Ours, for one processor core: stages of 32, 32, 64 and 64 channels with one further convolution each, a rate of 5e-4, batches of 16.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common import need_shared, read_json, write_json
from experiments import OMNIGLOT, opened
from hallucinating import DAGAN, further_ink, ink_reader
from likewise.episodes.classification.splits import Part
from likewise.methods.classifiers.dagan import DaganTraining, rounds
from likewise.methods.classifiers.dagan_model import DaganConfig, DaganCritic, DaganGenerator
from likewise.training.classes import Pictures
from likewise.weights import read_checkpoint, write_checkpoint
from sheets import sheet

CONFIG = DaganConfig(widths=(32, 32, 64, 64), inner=1, inner_critic=1)
TRAINING = DaganTraining(batch=16, rate=5e-4)
EVERY, SHOWN, MADE = 50, 12, 5


def ink_of(part: Part) -> list[Tensor]:
    """The drawings (M, 1, H, H) of each class of a part, ink 1, as learners read them."""
    benchmark, reader = opened(OMNIGLOT), ink_reader()
    pictures = Pictures(benchmark, reader)
    return [reader.numbers(torch.stack([pictures(item) for item in row]))[:, :1] for row in benchmark.part(part).items]


def network_at(path: Path, network: nn.Module) -> nn.Module:
    """The network with the tensors that were kept, if any."""
    if path.is_file():
        network.load_state_dict(dict(read_checkpoint(path)[0]))
    return network


def generator_at(path: Path = DAGAN) -> DaganGenerator:
    """The generator as it was kept."""
    network = network_at(path, DaganGenerator(CONFIG))
    assert isinstance(network, DaganGenerator)
    return network


def train(classes: list[Tensor], minutes: float) -> None:
    """Train for so many minutes and keep both networks now and then. classes: drawings (M, 1, H, H) in [-1, 1]."""
    record = read_json(DAGAN.parent / "rounds.json") or {"rounds": 0, "minutes": 0.0, "losses": []}
    torch.manual_seed(record["rounds"])
    network, critic = generator_at(), network_at(DAGAN.parent / "critic.safetensors", DaganCritic(CONFIG))
    assert isinstance(critic, DaganCritic)
    begin, before = time.monotonic(), record["minutes"]
    for losses in rounds(network, critic, classes, TRAINING, torch.Generator().manual_seed(record["rounds"])):
        record["rounds"] += 1
        passed = (time.monotonic() - begin) / 60
        if record["rounds"] % EVERY == 0 or passed > minutes:
            record["minutes"] = before + passed
            record["losses"].append([record["rounds"], losses.critic, losses.generator])
            keep(network, DAGAN)
            keep(critic, DAGAN.parent / "critic.safetensors")
            write_json(DAGAN.parent / "rounds.json", record)
            print(f"round {record['rounds']}, {record['minutes']:.1f} minutes: critic {losses.critic:.2f}, generator {losses.generator:.2f}", flush=True)
        if passed > minutes:
            return


def keep(network: nn.Module, path: Path) -> None:
    """Write the tensors of a network."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint({name: tensor.detach() for name, tensor in network.state_dict().items()}, path)


def draw(classes: list[Tensor]) -> None:
    """The sheet of the first drawing of some classes, ink 1."""
    chosen = [classes[place] for place in np.linspace(0, len(classes) - 1, SHOWN).astype(int)]
    made = further_ink(generator_at(), torch.stack([drawings[0] for drawings in chosen]), MADE)
    rows = [[_grey(drawings[0]), *(_grey(one) for one in own), _grey(drawings[1])] for drawings, own in zip(chosen, made, strict=True)]
    sheet(rows).save(DAGAN.parent / "sheet.png")


def _grey(ink: Tensor) -> NDArray[np.uint8]:
    plane = (255 * (1 - ink[0].clamp(0, 1))).byte().numpy()
    return np.asarray(plane[..., None].repeat(3, axis=2))


def main() -> None:
    """Train and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15)
    asked = parser.parse_args()
    need_shared()
    torch.set_num_threads(1)
    train([2 * ink - 1 for ink in ink_of("train")], asked.minutes)
    draw(ink_of("test"))


if __name__ == "__main__":
    main()
