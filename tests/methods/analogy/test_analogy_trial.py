"""Left-out trials: judges count what brute force counts; offsets and finer read-outs must earn their place."""

import math

import pytest
import torch

from likewise.methods.analogy.fitting import UNKNOWN
from likewise.methods.analogy.trial import SHARPNESS, Candidate, Judge, best_sharpness, choose, judged, map_at, mixed, rows_at, shifted
from likewise.methods.prompts import PatchLabels

GRID, COUNT = (5, 7), 4


def answers(seed, grid=GRID, count=COUNT):
    """Random maps (C, h, w) in 0..1."""
    return torch.rand(count, *grid, generator=torch.Generator().manual_seed(seed))


def places(seed, grid=GRID, count=COUNT, unknown=True):
    """Random classes (P,), some of them unknown."""
    return torch.randint(UNKNOWN if unknown else 0, count, (grid[0] * grid[1],), generator=torch.Generator().manual_seed(seed))


def soft(known, count=COUNT):
    """The same classes as soft labels of patches."""
    return PatchLabels(torch.nn.functional.one_hot(known.clamp_min(0), count).float(), (known != UNKNOWN).float())


def one_of(truth, strength=1.0, grid=GRID, count=COUNT):
    """Maps (C, h, w) that say each cell's class with a strength."""
    return strength * torch.nn.functional.one_hot(truth.clamp_min(0), count).float().T.reshape(count, *grid)


def spoiled(truth, cells):
    """The same classes, wrong in the first `cells` cells."""
    changed = truth.clone()
    changed[:cells] = (changed[:cells] + 1) % COUNT
    return changed


def only(maps):
    """A candidate that is one read-out with these maps."""
    return Candidate({"one": 1.0}, {"one": maps})


class TestJudge:
    @pytest.mark.parametrize("grid", [GRID, (3, 9)])
    def test_counts_are_those_of_masks_cell_by_cell(self, grid):
        maps, known, offsets = answers(1, grid), places(2), (0.0, 0.2)
        for offset, (both, either, area) in zip(offsets, Judge(GRID, places=known).counts(maps, offsets), strict=True):
            chosen = [max(range(COUNT), key=lambda c: float(row[c]) + offset * (c > 0)) for row in rows_at(maps, GRID)]
            for c in range(COUNT):
                truth = [int(k) == c for k in known]
                found = [own == c and int(k) != UNKNOWN for own, k in zip(chosen, known, strict=True)]
                assert both[c] == sum(a and b for a, b in zip(truth, found, strict=True))
                assert either[c] == sum(a or b for a, b in zip(truth, found, strict=True))
                assert area[c] == sum(truth)

    def test_soft_labels_that_are_sure_count_like_hard_ones(self):
        maps, known = answers(3, (6, 4)), places(4)
        for hard, gentle in zip(Judge(GRID, places=known).counts(maps, (0.1, 0.3)), Judge(GRID, soft=soft(known)).counts(maps, (0.1, 0.3)), strict=True):
            torch.testing.assert_close(gentle, hard)

    def test_soft_labels_count_by_share_and_weight(self):
        labels = PatchLabels(torch.tensor([[0.25, 0.75], [1.0, 0.0]]), torch.tensor([0.5, 1.0]))
        ((both, either, area),) = Judge((1, 2), soft=labels).counts(torch.tensor([[[0.0, 0.0]], [[1.0, 1.0]]]), [0.0])
        torch.testing.assert_close(both, torch.tensor([0.0, 0.375]))
        torch.testing.assert_close(area, torch.tensor([1.125, 0.375]))
        torch.testing.assert_close(either, torch.tensor([1.125, 1.5]))

    def test_the_offset_helps_every_class_against_the_background_alone(self):
        maps = torch.tensor([0.5, 0.3, 0.4])[:, None, None]
        without, with_it = Judge((1, 1), places=torch.tensor([2])).counts(maps, (0.05, 0.15))
        assert without[0].tolist() == [0, 0, 0]
        assert with_it[0].tolist() == [0, 0, 1]

    def test_very_many_pixels_are_judged_by_an_even_sample(self):
        grid = (300, 700)
        known, maps = places(4, grid), answers(3, grid)
        ((both, either, area),) = Judge(grid, places=known).counts(maps, [0.0])
        chosen, sure = maps.flatten(1).argmax(0), known != UNKNOWN
        for c in range(COUNT):
            truth, found = known[sure] == c, chosen[sure] == c
            assert float(both[c] / either[c]) == pytest.approx(float((truth & found).sum() / (truth | found).sum()), rel=0.1)
        assert area.sum() < 0.6 * sure.sum()

    def test_a_judge_without_labels_says_so(self):
        for ask in (lambda judge: judge.counts(answers(1, count=3), [0.0]), lambda judge: judge.log_loss(torch.rand(35, 3), [1.0])):
            with pytest.raises(ValueError, match="places or soft labels"):
                ask(Judge(GRID))

    def test_log_loss_is_the_cross_entropy_of_the_known_cells(self):
        rows, known = rows_at(answers(6), GRID), places(7)
        kept = known != UNKNOWN
        expected = torch.stack([torch.nn.functional.cross_entropy(factor * rows[kept], known[kept], reduction="sum") for factor in (3.0, 8.0)])
        torch.testing.assert_close(Judge(GRID, places=known).log_loss(rows, (3.0, 8.0)), expected)
        torch.testing.assert_close(Judge(GRID, soft=soft(known)).log_loss(rows, (3.0, 8.0)), expected)


class TestVerdict:
    def test_scores_pool_the_counts_of_all_examples(self):
        maps, judges = [answers(1), answers(2, (3, 8))], [Judge(GRID, places=places(3)), Judge((3, 8), places=places(4, (3, 8)))]
        verdict = judged(only(maps), judges)
        pooled = [judge.counts(own, [verdict.offset])[0] for own, judge in zip(maps, judges, strict=True)]
        iou = (pooled[0][0] + pooled[1][0]) / (pooled[0][1] + pooled[1][1])
        torch.testing.assert_close(verdict.iou, iou)
        assert verdict.score == pytest.approx(float(iou[1:].mean()))

    def test_classes_that_nobody_judged_have_no_score_and_do_not_count(self):
        known = places(5, count=3)
        verdict = judged(only([one_of(known)]), [Judge(GRID, places=known)])
        assert verdict.iou.isnan().tolist() == [False, False, False, True]
        assert verdict.score == 1

    def test_nothing_to_judge_scores_nothing(self):
        verdict = judged(only([answers(1)]), [Judge(GRID, places=torch.full((35,), UNKNOWN))])
        assert (verdict.score, verdict.offset) == (0.0, 0.0)

    def faint(self, hidden, below=0.05):
        """Maps and judge of 1000 cells, half of them of class 1, of which `hidden` lie below the background."""
        truth = torch.arange(1000) % 2
        rows = torch.stack([torch.full((1000,), 0.5), torch.where(truth == 1, 0.6, 0.2)], dim=1)
        rows[torch.nonzero(truth)[:hidden, 0], 1] = 0.5 - below
        return only([rows.T.reshape(2, 20, 50)]), [Judge((20, 50), places=truth)]

    def test_an_offset_that_helps_is_found(self):
        verdict = judged(*self.faint(100))
        assert verdict.offset == 0.06
        assert verdict.score == 1

    def test_an_offset_that_helps_by_a_trifle_is_not_taken(self):
        verdict = judged(*self.faint(4))
        assert verdict.offset == 0
        assert verdict.score == pytest.approx(496 / 500)

    def test_an_offset_that_one_strange_image_asks_for_is_not_taken_when_it_spoils_the_usual_ones(self):
        candidate, (judge,) = self.faint(500)
        strange = candidate.map(0)
        usual = strange.clone()
        usual[1] = torch.where(torch.arange(1000).reshape(20, 50) % 2 == 1, 0.9, 0.48)
        alone = judged(Candidate({"one": 1.0}, {"one": [strange]}), [judge])
        assert (alone.offset, alone.score) == (0.06, 1)
        three = Candidate({"one": 1.0}, {"one": [strange, usual, usual]})
        assert judged(three, [judge] * 3).offset == 0

    def test_blocks_of_one_image_start_from_an_offset_and_ask_more_of_another(self):
        usual = judged(*self.faint(0), by_blocks=True).offset
        assert usual > 0
        assert judged(*self.faint(10, usual + 0.02)).offset > usual
        assert judged(*self.faint(10, usual + 0.02), by_blocks=True).offset == usual
        assert judged(*self.faint(100, usual + 0.02), by_blocks=True).offset > usual

    def test_the_offset_of_blocks_is_shared_by_the_classes(self):
        known = places(5)
        alone = judged(*self.faint(0), by_blocks=True).offset
        assert judged(only([one_of(known)]), [Judge(GRID, places=known)], by_blocks=True).offset == pytest.approx(alone / (COUNT - 1))


class TestChoice:
    truth = places(8, (20, 50), unknown=False)

    def candidate(self, wrong):
        return only([one_of(spoiled(self.truth, wrong), grid=(20, 50))])

    def chosen(self, *wrong, by_blocks=False):
        return choose([self.candidate(cells) for cells in wrong], [Judge((20, 50), places=self.truth)], by_blocks=by_blocks)[0]

    def test_a_finer_answer_that_is_clearly_better_is_taken(self):
        assert self.chosen(200, 100) == 1

    def test_a_finer_answer_within_the_margin_leaves_the_coarser(self):
        assert self.chosen(200, 198) == 0

    def test_every_answer_is_compared_with_the_one_that_stands(self):
        assert self.chosen(200, 150, 148) == 1
        assert self.chosen(200, 198, 190) == 2

    def test_blocks_of_one_image_ask_for_more_than_whole_images(self):
        assert self.chosen(200, 190) == 1
        assert self.chosen(200, 190, by_blocks=True) == 0
        assert self.chosen(200, 150, by_blocks=True) == 1

    def test_blocks_that_are_nearly_all_right_say_nothing_more(self):
        assert self.chosen(40, 0) == 1
        assert self.chosen(40, 0, by_blocks=True) == 0

    def test_every_candidate_gets_a_verdict(self):
        _, verdicts = choose([self.candidate(40), self.candidate(0)], [Judge((20, 50), places=self.truth)], by_blocks=True)
        assert verdicts[0].score < verdicts[1].score == 1


class TestMixture:
    def test_near_equals_share_the_answer_and_one_far_behind_has_no_say(self):
        weights = mixed({"a": 0.60, "b": 0.62, "c": 0.2}, by_blocks=False)
        assert list(weights) == ["a", "b"]
        assert 0.4 < weights["a"] < 0.5 < weights["b"]
        assert sum(weights.values()) == pytest.approx(1)

    def test_scores_far_apart_leave_the_best_alone(self):
        assert mixed({"a": 0.1, "b": 0.9}, by_blocks=False) == {"b": 1.0}

    def test_blocks_of_one_image_favour_the_coarser_of_equals(self):
        scores = {"coarse": 0.5, "fine": 0.5}
        assert mixed(scores, by_blocks=False) == pytest.approx({"coarse": 0.5, "fine": 0.5})
        assert mixed(scores, by_blocks=True)["coarse"] == pytest.approx(1 / (1 + math.exp(-0.04 / 0.05)))  # as docs/methods/analogy.md says

    def test_blocks_that_are_nearly_all_right_leave_the_coarsest_alone(self):
        scores = {"coarse": 0.93, "fine": 0.99}
        assert mixed(scores, by_blocks=True) == {"coarse": 1.0}
        assert mixed(scores, by_blocks=False)["fine"] > 0.5


class TestSharpness:
    def test_it_is_the_factor_of_least_cross_entropy(self):
        known = places(1)
        maps = one_of(spoiled(known, 4)) + 0.3 * answers(2)
        logits = maps.clone()
        logits[1:] += 0.1
        rows, kept = logits.flatten(1).T, known != UNKNOWN
        losses = [float(torch.nn.functional.cross_entropy(factor * rows[kept], known[kept])) for factor in SHARPNESS]
        expected = SHARPNESS[losses.index(min(losses))]
        assert best_sharpness(only([maps]), [Judge(GRID, places=known)], 0.1) == expected
        assert SHARPNESS[0] < expected < SHARPNESS[-1]

    def test_answers_that_are_always_right_are_sharpest_and_guesses_are_not(self):
        known = places(3)
        judges = [Judge(GRID, places=known)]
        assert best_sharpness(only([one_of(known)]), judges, 0.0) == SHARPNESS[-1]
        assert best_sharpness(only([answers(4)]), judges, 0.0) == SHARPNESS[0]


class TestMaps:
    def test_a_mixture_is_the_weighted_mean_on_the_finest_grid(self):
        coarse, fine = [answers(1, (3, 4)), answers(2, (4, 3))], [answers(3, (6, 9)), answers(4, (8, 5))]
        candidate = Candidate({"coarse": 0.25, "fine": 0.75}, {"coarse": coarse, "fine": [item.half() for item in fine], "other": []})
        for place, (small, large) in enumerate(zip(coarse, fine, strict=True)):
            enlarged = torch.nn.functional.interpolate(small[None], large.shape[1:], mode="bilinear", align_corners=False)[0]
            torch.testing.assert_close(candidate.map(place), 0.25 * enlarged + 0.75 * large, atol=1e-3, rtol=0)

    def test_shifting_spares_the_background_and_what_was_given(self):
        maps = answers(5)
        before = maps.clone()
        moved = shifted(maps, 0.3)
        assert torch.equal(moved[0], maps[0])
        torch.testing.assert_close(moved[1:], maps[1:] + 0.3)
        assert torch.equal(maps, before)

    def test_a_map_on_its_own_grid_stays_and_rows_are_its_cells(self):
        maps = answers(6)
        assert torch.equal(map_at(maps, GRID), maps)
        rows = rows_at(maps, GRID)
        assert torch.equal(rows[1 * GRID[1] + 3], maps[:, 1, 3])
        assert map_at(maps, (11, 6)).shape == (COUNT, 11, 6)
