"""Relation networks: pairs, sums and means of shots, statistics, losses, and reading either code base's weights."""

import pytest
import torch

from likewise.backbones.conv_encoders import ConvConfig, ConvEncoder
from likewise.errors import WeightsError
from likewise.methods.classifiers.relation_model import (
    AttributeNetwork,
    RelationModule,
    RelationNetwork,
    VectorRelation,
    relation_of,
    softmax_loss,
    squared_loss,
)

CHANNELS, SIDE = 3, 5
GRID = (SIDE, SIDE)


def numbers(*shape, seed=1):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def module():
    torch.manual_seed(2)
    return RelationModule(CHANNELS, GRID, width=4, hidden=6)


def network_of(module, **options):
    torch.manual_seed(4)
    return RelationNetwork(ConvEncoder(ConvConfig(channels=2, widths=(CHANNELS,), padding=(1,), pooled=0, flatten=False)), module, **options)


@pytest.mark.parametrize("training", [False, True])
def test_a_pair_is_the_class_beside_the_query(module, training):
    module.train(training)
    classes, queries = numbers(2, CHANNELS, SIDE, SIDE), numbers(7, CHANNELS, SIDE, SIDE, seed=3)
    pairs = torch.stack([torch.cat([one, query]) for query in queries for one in classes])
    inner = pairs
    for layer in (module.layer1, module.layer2):
        inner = torch.max_pool2d(torch.relu(layer.BN(layer.C(inner))), 2)
    expected = module.fc2(torch.relu(module.fc1(inner.flatten(1)))).reshape(7, 2)
    torch.testing.assert_close(module(classes, queries), expected)


@pytest.mark.parametrize(
    ("grid", "padding", "inputs"), [((5, 5), 1, 4), ((7, 5), 1, 4), ((9, 4), 1, 4 * 2), ((10, 10), 0, 4), ((10, 14), 0, 4 * 2), ((19, 12), 0, 4 * 3)]
)
def test_small_maps_are_padded_and_large_ones_are_not(grid, padding, inputs):
    module = RelationModule(CHANNELS, grid, width=4)
    assert module.layer2.C.padding == (padding, padding)
    assert module.fc1.in_features == inputs
    assert module(numbers(2, CHANNELS, *grid), numbers(3, CHANNELS, *grid)).shape == (3, 2)


def test_maps_of_which_nothing_would_be_left_are_refused():
    for grid in ((9, 10), (3, 5)):
        with pytest.raises(ValueError, match=f"nothing of maps of {grid[0]} x {grid[1]}"):
            RelationModule(CHANNELS, grid)


@pytest.mark.parametrize(("summed", "share"), [(True, 1.0), (False, 1 / 3)])
def test_a_class_map_is_the_sum_or_the_mean_of_its_shots(module, summed, share):
    network = network_of(module, summed=summed, apart=False).eval()
    episode = numbers(2, 5, 2, SIDE, SIDE)
    maps = network.encoder(episode.flatten(0, 1)).unflatten(0, (2, 5))
    expected = module(share * maps[:, :3].sum(dim=1), maps[:, 3:].flatten(0, 1))
    torch.testing.assert_close(network(episode, 3), expected)


def test_apart_the_supports_do_not_know_the_queries_statistics(module):
    episode = numbers(2, 4, 2, SIDE, SIDE)
    other = episode.clone()
    other[:, 1:] *= 3
    for apart in (True, False):
        network = network_of(module, summed=False, apart=apart).train()
        seen = []
        network.encoder.register_forward_hook(lambda *call, seen=seen: seen.append(call[-1][:2].detach()))
        network(episode, 1)
        network(other, 1)
        assert len(seen) == (4 if apart else 2)
        supports = seen[::2] if apart else seen
        assert torch.allclose(supports[0], supports[1], atol=1e-5) is apart


def test_with_a_momentum_of_1_the_statistics_are_those_of_the_last_batch():
    torch.manual_seed(2)
    module = RelationModule(CHANNELS, GRID, momentum=1.0).train()
    classes = numbers(2, CHANNELS, SIDE, SIDE)
    module(classes, numbers(4, CHANNELS, SIDE, SIDE, seed=5))
    last = numbers(3, CHANNELS, SIDE, SIDE, seed=6)
    expected = module(classes, last)
    pairs = torch.stack([torch.cat([one, query]) for query in last for one in classes])
    torch.testing.assert_close(module.layer1.BN.running_mean, module.layer1.C(pairs).mean(dim=(0, 2, 3)))
    assert not torch.equal(module.eval()(classes, last), expected)  # the deviations that are stored are unbiased


def test_in_evaluation_mode_queries_do_not_know_of_each_other(module):
    classes, queries = numbers(2, CHANNELS, SIDE, SIDE), numbers(4, CHANNELS, SIDE, SIDE, seed=3)
    torch.testing.assert_close(module.eval()(classes, queries)[:1], module(classes, queries[:1]))
    assert not torch.allclose(module.train()(classes, queries)[:1], module(classes, queries[:1]), atol=1e-4)


def test_losses_are_those_worked_by_hand():
    logits, labels = torch.tensor([[0.0, 0.0], [100.0, -100.0]]), torch.tensor([1, 1])
    assert squared_loss(logits, labels).item() == pytest.approx((0.25 + 0.25 + 1 + 1) / 4)
    assert softmax_loss(logits[:1], labels[:1]).item() == pytest.approx(0.693147, abs=1e-5)


def test_weights_of_both_code_bases_are_read(module):
    plain = {name: torch.rand_like(value) if value.is_floating_point() else value for name, value in module.state_dict().items()}
    numbered = {name.replace(".C.", ".0.").replace(".BN.", ".1."): value for name, value in plain.items() if not name.endswith("tracked")}
    twice = {f"relation_module.{name}": value for name, value in plain.items()}
    twice |= {f"relation_module.{name.replace('.C.', '.trunk.0.').replace('.BN.', '.trunk.1.')}": value * 0 for name, value in plain.items() if "layer" in name}
    twice["feature.trunk.0.C.weight"] = torch.zeros(3, 2, 3, 3)
    classes, queries = numbers(2, CHANNELS, SIDE, SIDE), numbers(4, CHANNELS, SIDE, SIDE, seed=3)
    module.load_state_dict(plain)
    for tensors in (plain, numbered, twice):
        assert torch.equal(relation_of(tensors, GRID).eval()(classes, queries), module.eval()(classes, queries))


def test_weights_that_do_not_fit_are_refused(module):
    with pytest.raises(WeightsError, match="no relation module"):
        relation_of({"layer1.0.weight": torch.zeros(4, 6, 3, 3)}, GRID)
    with pytest.raises(WeightsError, match=r"fc1\.weight"):
        relation_of(module.state_dict(), (19, 19))


def test_a_pair_of_vectors_is_the_class_beside_the_image():
    torch.manual_seed(3)
    classes, pairs = AttributeNetwork(4, 7, 5), VectorRelation(5, 6)
    embedded, features = classes(numbers(3, 4)), numbers(2, 5)
    assert bool((embedded >= 0).all())
    rows = torch.stack([torch.stack([torch.cat([one, image]) for one in embedded]) for image in features])
    torch.testing.assert_close(pairs(embedded, features), pairs.fc2(torch.relu(pairs.fc1(rows)))[..., 0])
