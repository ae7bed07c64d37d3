"""The loss of fitted read-outs against a form written out by hand; weights of classes; the loop that lowers a loss."""

import pytest
import torch

from likewise.methods.analogy.fitting import UNKNOWN, Scene, class_weight, entropy_and_dice, layer, minimise


def batch(rows=23, count=4):
    """Logits (n, C), labels (n,) without class 3, weights (n,) and class weights (C,)."""
    generator = torch.Generator().manual_seed(5)
    logits, labels = torch.randn(rows, count, generator=generator), torch.randint(0, count - 1, (rows,), generator=generator)
    return logits, labels, 0.2 + torch.rand(rows, generator=generator), torch.tensor([0.5, 1.5, 2.0, 0.0])


def written_out(logits, labels, weight, classes):
    """Cross entropy plus one less the mean soft Dice score, row by row."""
    guess, entropy = torch.softmax(logits.double(), 1).tolist(), 0.0
    for row, label, own in zip(guess, labels.tolist(), weight.tolist(), strict=True):
        entropy -= torch.tensor(row[label]).log().item() * classes[label].item() * own
    scores = []
    for place in sorted(set(labels.tolist())):
        own = [(w * row[place], w * (label == place)) for row, label, w in zip(guess, labels.tolist(), weight.tolist(), strict=True)]
        both = sum(g for g, t in own if t)
        scores.append((2 * both + 1) / (sum(g + t for g, t in own) + 1))
    return entropy / weight.sum().item() + 1 - sum(scores) / len(scores)


class TestLoss:
    def test_it_is_entropy_and_dice_written_out(self):
        assert float(entropy_and_dice(*batch())) == pytest.approx(written_out(*batch()), rel=1e-4)

    def test_a_row_of_weight_two_counts_as_two_rows(self):
        logits, labels, _, classes = batch()
        weight = torch.ones(len(labels))
        twice = [torch.cat([item, item[:5]]) for item in (logits, labels, weight)]
        weight[:5] = 2
        torch.testing.assert_close(entropy_and_dice(logits, labels, weight, classes), entropy_and_dice(*twice, classes))

    def test_being_right_costs_next_to_nothing_and_being_wrong_much(self):
        _, labels, weight, classes = batch()
        right = 20 * torch.nn.functional.one_hot(labels, 4).float()
        assert float(entropy_and_dice(right, labels, weight, classes)) < 1e-3
        assert float(entropy_and_dice(right.roll(1, 1), labels, weight, classes)) > 10

    def test_the_slope_is_finite_where_rows_have_no_weight(self):
        logits, labels, weight, classes = batch()
        logits.requires_grad_()
        weight[:7] = 0
        entropy_and_dice(logits, labels, weight, classes).backward()
        assert logits.grad.isfinite().all()
        assert (logits.grad[:7] == 0).all()
        assert (logits.grad[7:] != 0).any()


class TestClassWeight:
    labels = (torch.tensor([[0, 0, 0, 0, 1], [0, 0, 0, 1, UNKNOWN]]), torch.tensor([0, 3, UNKNOWN, 0, 0, 0, 0, 0]))  # 13, 2, 0, 1 of 16

    def test_rare_classes_weigh_by_the_root_of_their_rarity(self):
        weight = class_weight(self.labels, 4)
        assert float(weight[1] / weight[0]) == pytest.approx((13 / 2) ** 0.5, rel=1e-5)
        assert float(weight[3] / weight[1]) == pytest.approx(2**0.5, rel=1e-5)

    def test_it_is_one_on_average_over_the_known_pixels(self):
        weight = class_weight(self.labels, 4)
        assert float((weight * torch.tensor([13, 2, 0, 1])).sum() / 16) == pytest.approx(1, rel=1e-5)

    def test_classes_that_nobody_saw_weigh_nothing(self):
        assert class_weight(self.labels, 5)[[2, 4]].tolist() == [0, 0]
        assert class_weight([torch.full((3, 2), UNKNOWN)], 2).tolist() == [0, 0]


class TestLoop:
    def test_it_lowers_a_loss(self):
        place = torch.tensor([3.0, -2.0]).requires_grad_()
        goal = torch.tensor([1.0, 1.0])
        minimise([place], lambda: ((place - goal) ** 2).sum(), 150, 0.2, 0.0)
        torch.testing.assert_close(place.detach(), goal, atol=0.05, rtol=0)

    def test_every_step_asks_for_a_new_loss(self):
        asked, place = [], torch.ones(3, requires_grad=True)

        def loss():
            asked.append(1)
            return (place**2).sum()

        minimise([place], loss, 7, 0.1, 0.0)
        assert len(asked) == 7

    def test_a_layer_is_drawn_by_the_generator_alone_and_fit_to_be_learned(self):
        before = torch.get_rng_state()
        weights, bias = layer(40, 30, torch.Generator().manual_seed(1))
        again, _ = layer(40, 30, torch.Generator().manual_seed(1))
        assert torch.equal(weights, again)
        assert torch.equal(before, torch.get_rng_state())
        assert weights.shape == (30, 40)
        assert bias.tolist() == [0] * 30
        assert weights.requires_grad
        assert bias.requires_grad

    def test_signals_keep_their_size_through_a_layer(self):
        generator = torch.Generator().manual_seed(2)
        flat, kernel = (weights.detach() for weights, _ in (layer(400, 300, generator), layer(40, 30, generator, kernel=3)))
        assert float((torch.relu(torch.randn(500, 400, generator=generator)) @ flat.T).var()) == pytest.approx(1, rel=0.1)
        maps = torch.relu(torch.randn(5, 40, 12, 14, generator=generator))
        assert float(torch.nn.functional.conv2d(maps, kernel).var()) == pytest.approx(1, rel=0.2)

    def test_a_last_layer_says_nothing_before_it_is_fitted(self):
        weights, bias = layer(6, 4, torch.Generator(), kernel=1, zero=True)
        assert weights.shape == (4, 6, 1, 1)
        assert not weights.any()
        assert not bias.any()


def test_a_scene_forgets_labels_that_are_not_kept_and_nothing_else():
    labels = torch.tensor([[0, 1, 2], [UNKNOWN, 2, 1]])
    scene = Scene(torch.rand(3, 2, 3), torch.rand(4, 2, 3), labels)
    rest = scene.only(torch.tensor([[True, False, True], [True, True, False]]))
    assert rest.labels.tolist() == [[0, UNKNOWN, 2], [UNKNOWN, 2, UNKNOWN]]
    assert labels[0, 1] == 1
    assert rest.picture is scene.picture
    assert rest.answers is scene.answers
