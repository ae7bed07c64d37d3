"""PFENet under training, on tokens and behind a network that stays as it is."""

import pytest
import torch
from pfenet_small import CHANNELS, in_frame, network
from torch.nn.functional import cross_entropy, interpolate

from likewise.backbones.features import ImageFeatures
from likewise.backbones.vit import VitConfig
from likewise.errors import UsageError
from likewise.methods.pfenet import Pfenet
from likewise.methods.pfenet.maps import token_maps, token_mask
from likewise.methods.pfenet.model import prior, support_vector, under
from likewise.methods.trainable import TrainingEpisode

SIDE, GRID = 65, 9
BACKBONE = VitConfig(width=20, depth=4, heads=2, patch=7, grid=GRID)


def item(seed):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 255, (3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    tokens = torch.randn(4, GRID * GRID, 20, generator=generator)
    return ImageFeatures(tokens, torch.zeros(4, 1, 20), (GRID, GRID), (SIDE, SIDE), q=torch.zeros(2, 1, 1), pixels=pixels)


def episode(*, void=True):
    mask = torch.zeros(80, 100, dtype=torch.uint8)
    mask[10:50, 20:60] = 1
    mask[50:70, 20:60] = 255 * void
    return TrainingEpisode(item(0), item(1), True, mask, mask.flip(1))


def still(training):
    training.learner.eval()  # without dropout
    return training


def test_the_loss_is_that_of_the_answer_and_the_mean_of_the_levels():
    training = still(Pfenet.trainable(BACKBONE, {"side": SIDE, "width": 8}))
    given = episode()
    terms = training.episode_loss(given, torch.Generator())
    own = token_mask(given.support_mask == 1, (GRID, GRID))[None]
    truth = interpolate(given.query_mask[None, None].float(), size=(SIDE, SIDE), mode="nearest")[0].long()
    query, theirs = token_maps(given.query), token_maps(given.support)
    learner = training.learner
    logits, within = learner(
        learner.down_query(query.middle), support_vector(learner.down_supp(theirs.middle), own), prior(query.deep, under(theirs.deep, own))
    )
    losses = [
        cross_entropy(interpolate(torch.log_softmax(one, 1), size=(SIDE, SIDE), mode="bilinear", align_corners=True), truth, ignore_index=255)
        for one in (logits, *within)
    ]
    assert terms["masks"].item() == pytest.approx(losses[0].item(), rel=0.02)
    assert terms["auxiliary"].item() == pytest.approx(torch.stack(losses[1:]).mean().item(), rel=0.02)
    assert terms["loss"].item() == pytest.approx((terms["masks"] + terms["auxiliary"]).item())


def test_settings_change_the_loss():
    base = {"side": SIDE, "width": 8}
    plain = still(Pfenet.trainable(BACKBONE, base)).episode_loss(episode(), torch.Generator())
    without = still(Pfenet.trainable(BACKBONE, {**base, "auxiliary": 0.0})).episode_loss(episode(), torch.Generator())
    assert without["loss"] == without["masks"] == plain["masks"]
    counted = still(Pfenet.trainable(BACKBONE, {**base, "void_is_background": True})).episode_loss(episode(), torch.Generator())
    assert counted["masks"] != plain["masks"]
    assert Pfenet.trainable(BACKBONE, {**base, "bins": [9, 3, 2, 1]}).method().settings.bins == (9, 3, 2, 1)


@pytest.mark.parametrize("own", [False, True])
def test_steps_on_an_episode_lower_its_loss_and_a_network_stays_as_it_is(own):
    start = Pfenet.converted(network((8,))) if own else None
    training = Pfenet.trainable(BACKBONE, {"side": SIDE, "width": 16}, start=start)
    before = {name: tensor.clone() for name, tensor in training.checkpoint().items()}
    optimiser = torch.optim.Adam(training.parameters(), lr=3e-3)
    torch.manual_seed(0)
    losses = []
    for _ in range(25):
        loss = training.episode_loss(episode(), torch.Generator())["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    after = training.checkpoint()
    assert all(torch.equal(tensor, before[name]) == name.startswith("backbone.") for name, tensor in after.items())
    method = training.method()
    assert method.wants() == training.wants()
    assert (method.network is not None) == own


def test_a_published_checkpoint_is_a_start_with_its_learner():
    tensors = Pfenet.converted(in_frame())
    training = Pfenet.trainable(BACKBONE, {"side": SIDE}, start=tensors)
    assert training.learner.channels == CHANNELS
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in training.checkpoint().items())


def test_what_does_not_fit_is_refused():
    tokens = {name: tensor for name, tensor in Pfenet.converted(in_frame()).items() if name.startswith("learner.")}
    with pytest.raises(UsageError, match="reads 72 channels, the backbone gives 40"):
        Pfenet.trainable(BACKBONE, {"side": SIDE}, start=tokens)
    with pytest.raises(UsageError, match="bins has 2 sides, the network 4"):
        Pfenet.trainable(BACKBONE, {"bins": [9, 3]})
    with pytest.raises(UsageError, match="give all of them"):
        Pfenet.trainable(BACKBONE, {"side": SIDE, "width": 8}).episode_loss(TrainingEpisode(item(0), item(1), True), torch.Generator())
