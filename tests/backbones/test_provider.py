"""The feature provider: pixels, altered copies, tiles, and the names of features on disk."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from likewise.backbones import FeatureProvider, FeatureSpec, load_backbone

NAME = "random:vit-tiny-14"
SPEC = FeatureSpec(layers=(1, -1), side=112, qk=True)


def noise(seed, height, width, cells=(5, 7)):
    """A smooth picture (H, W, 3): noise on a few cells, enlarged."""
    coarse = np.random.default_rng(seed).integers(0, 256, (*cells, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def changed(**values):
    return FeatureSpec(**{"layers": (1, -1), "side": 112, "qk": True} | values)


@pytest.fixture
def provider():
    return FeatureProvider(load_backbone(NAME), engine="torch", precision="float32")


def features(provider, image, spec):
    return provider.extract([provider.prepare(image, (spec,))], spec)[0]


class TestPixels:
    def test_without_the_wish_there_are_none(self, provider):
        prepared = provider.prepare(noise(0, 50, 80), (SPEC,))
        assert prepared.pictures == {}
        assert provider.extract([prepared], SPEC)[0].pixels is None

    @pytest.mark.parametrize(("size", "expected"), [((300, 600), (200, 400)), ((350, 260), (350, 260)), ((30, 90), (85, 256)), ((1, 1), (256, 256))])
    def test_the_longer_side_is_at_most_the_wish_and_only_small_pictures_grow(self, provider, size, expected):
        found = features(provider, noise(1, *size), changed(pixels=400))
        assert found.pixels.shape == (3, *expected)
        assert found.pixels.dtype == torch.uint8
        assert found.size == size

    def test_a_picture_that_needs_no_resizing_comes_back_as_it_is(self, provider):
        image = noise(2, 260, 300)
        found = features(provider, image, changed(pixels=512)).pixels
        assert np.array_equal(found.permute(1, 2, 0).numpy(), image)

    def test_shrinking_averages_areas(self, provider):
        fine = np.random.default_rng(3).integers(0, 256, (600, 800, 3), dtype=np.uint8)
        found = features(provider, fine, changed(pixels=400)).pixels.permute(1, 2, 0).numpy()
        assert np.abs(found - fine.reshape(300, 2, 400, 2, 3).mean((1, 3))).max() <= 0.51

    def test_a_photograph_is_decoded_as_far_as_the_picture_needs(self, provider, tmp_path, monkeypatch):
        from likewise.backbones import provider as module

        Image.fromarray(noise(4, 1200, 1600)).save(tmp_path / "a.jpg")
        decoded = []
        honest = module.read_image
        monkeypatch.setattr(module, "read_image", lambda *args, **wishes: decoded.append(honest(*args, **wishes)) or decoded[-1])
        provider.prepare(tmp_path / "a.jpg", (SPEC,))
        prepared = provider.prepare(tmp_path / "a.jpg", (SPEC, changed(pixels=500)))
        assert decoded[0].shape == (150, 200, 3)
        assert decoded[1].shape == (600, 800, 3)
        assert prepared.pictures[changed(pixels=500)].shape == (375, 500, 3)

    def test_the_tokens_are_the_same_with_and_without(self, provider):
        image = noise(5, 70, 90)
        assert torch.equal(features(provider, image, SPEC).tokens, features(provider, image, changed(pixels=300)).tokens)


class TestCopies:
    image = noise(6, 60, 90)

    def test_a_mirrored_copy_runs_mirrored_and_is_put_back(self, provider):
        # by hand: alter the view, run it, put rows and columns back
        from likewise.backbones.alter import altered

        spec = changed(copy=1, pixels=300)
        found = features(provider, self.image, spec)
        view = provider.prepare(self.image, (SPEC,)).views[SPEC]
        by_hand = provider.engine(SPEC).run(altered(view, 1)[None])
        rows, columns = found.grid
        assert rows != columns
        for mine, theirs in zip((found.tokens, found.q, found.k), by_hand, strict=True):
            patches = theirs[0][:, 3:].reshape(theirs.shape[1], rows, columns, -1).flip(2).flatten(1, 2)
            assert torch.equal(mine, patches)
        assert torch.equal(found.prefix, by_hand[0][0][:, :3])

    @pytest.mark.parametrize("copy", [1, 2, 3, 4])
    def test_things_stay_where_they_are(self, provider, copy):
        flat = np.full((112, 112, 3), 128, np.uint8)
        flat[:, :28] = (230, 30, 30)
        found = features(provider, flat, changed(copy=copy, pixels=300, step=1))
        rows, columns = found.grid
        tokens = found.tokens[-1].float().reshape(rows, columns, -1)
        left, right = tokens[:, :2].mean((0, 1)), tokens[:, 2:].mean((0, 1))
        assert (tokens[:, :2] - right).norm(dim=-1).mean() > (tokens[:, :2] - left).norm(dim=-1).mean()
        red = found.pixels[0].float() - found.pixels[2].float()
        assert red[:, : red.shape[1] // 5].mean() > 80 > 60 > red[:, red.shape[1] // 3 :].mean()

    def test_pixels_of_a_copy_have_its_tones(self, provider):
        from likewise.backbones.alter import toned

        image = noise(7, 256, 200)
        found = features(provider, image, changed(copy=3, pixels=256)).pixels
        assert np.array_equal(found.permute(1, 2, 0).numpy(), toned(image, 3))


class TestTiles:
    def test_a_view_within_the_limit_is_not_cut(self, provider):
        image = noise(8, 60, 90)
        cut, plain = features(provider, image, changed(tile=112)), features(provider, image, SPEC)
        assert torch.equal(cut.tokens, plain.tokens)
        assert torch.equal(cut.prefix, plain.prefix)

    @pytest.mark.parametrize("size", [(30, 240), (594, 100), (97, 103), (1, 9)])  # the second has 1092 patches, 33 x 33 are 1089
    def test_no_shape_is_cut_whose_side_is_within_the_limit(self, provider, size):
        spec = changed(side=448, tile=448)
        assert provider.tiling(provider.working_shape(size, spec), spec) is None

    def test_a_larger_view_goes_through_in_parts(self, provider, monkeypatch):
        spec = changed(side=280, tile=140)
        seen = []
        engine = provider.engine(spec)
        honest = engine.run
        monkeypatch.setattr(engine, "run", lambda images: seen.append(images.shape) or honest(images))
        images = [provider.prepare(noise(seed, 200, 260), (spec,)) for seed in (9, 10)]
        one, two = provider.extract(images, spec)
        assert all(shape[0] == 1 and shape[1] * shape[2] <= 154**2 for shape in seen)
        assert len(set(seen)) == 1
        assert one.tokens.shape == two.tokens.shape == (2, one.grid[0] * one.grid[1], 48)
        assert one.q.shape == (3, one.grid[0] * one.grid[1], 16)
        assert one.prefix.shape == (2, 3, 48)
        assert one.prefix_qk.shape == (2, 3, 3, 16)
        assert torch.equal(one.tokens, features(provider, noise(9, 200, 260), spec).tokens)

    def test_no_seam_is_left(self, provider):
        image, spec = noise(0, 300, 420), changed(side=560, tile=280)
        tiling = provider.tiling(provider.working_shape((300, 420), spec), spec)
        found = features(provider, image, spec)
        tokens = found.tokens[-1].float().reshape(*found.grid, -1)
        for axis, starts in enumerate((tiling.rows, tiling.columns)):
            steps = tokens.diff(dim=axis).norm(dim=-1).mean(1 - axis)
            borders = {start - 1 for start in starts[1:]} | {start + tiling.shape[axis] - 1 for start in starts[:-1]}
            elsewhere = [place for place in range(len(steps)) if place not in borders]
            assert borders
            assert steps[sorted(borders)].max() <= steps[elsewhere].max()

    def test_a_mirrored_copy_in_tiles_is_put_back_too(self, provider):
        image = noise(11, 200, 280)
        plain, copy = features(provider, image, changed(side=280, tile=140)), features(provider, image, changed(side=280, tile=140, copy=3))
        agree = torch.nn.functional.cosine_similarity(plain.tokens.float(), copy.tokens.float(), dim=-1)
        flipped = copy.tokens.reshape(2, *copy.grid, 48).flip(2).reshape(2, -1, 48)
        apart = torch.nn.functional.cosine_similarity(plain.tokens.float(), flipped.float(), dim=-1)
        assert agree.mean() > apart.mean()


OTHER_RUNS = (("openvino", "float32"), ("torch", "bfloat16"))


class TestFeaturesOnDisk:
    image = noise(12, 120, 150)

    @pytest.fixture
    def kept(self, tmp_path):
        return FeatureProvider(load_backbone(NAME), engine="torch", precision="float32", features=tmp_path)

    def files(self, kept, tmp_path, spec):
        features(kept, self.image, spec)
        return {path.name for path in tmp_path.rglob("*.safetensors")}

    def test_a_file_belongs_to_an_image_its_size_the_weights_and_what_is_asked_of_them(self, kept, tmp_path):
        names = self.files(kept, tmp_path, SPEC)
        again = FeatureProvider(load_backbone(NAME), engine="torch", precision="float32", features=tmp_path)
        assert self.files(again, tmp_path, SPEC) == names
        others = [FeatureProvider(load_backbone("random:vit-tiny-8"), engine="torch", precision="float32", features=tmp_path)]
        others += [FeatureProvider(load_backbone(NAME), engine=engine, precision=precision, features=tmp_path) for engine, precision in OTHER_RUNS]
        counts = [len(self.files(other, tmp_path, SPEC)) for other in others]
        counts += [len(self.files(kept, tmp_path, spec)) for spec in (changed(side=224), changed(layers=(0,)), changed(qk=False))]
        features(kept, noise(13, 120, 150), SPEC)
        assert [*counts, len(list(tmp_path.rglob("*.safetensors")))] == [2, 3, 4, 5, 6, 7, 8]

    def test_pixels_and_a_limit_that_cuts_nothing_share_the_file(self, kept, tmp_path):
        names = self.files(kept, tmp_path, SPEC)
        assert self.files(kept, tmp_path, changed(pixels=300)) == names
        assert self.files(kept, tmp_path, changed(tile=448)) == names

    def test_copies_and_tiles_have_files_of_their_own(self, kept, tmp_path):
        names = [self.files(kept, tmp_path, spec) for spec in (SPEC, changed(copy=1), changed(copy=3), changed(tile=56), changed(tile=84, copy=3))]
        assert [len(name) for name in names] == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("spec", [changed(pixels=300), changed(copy=1, pixels=300), changed(tile=56, copy=3)])
    def test_what_is_read_equals_what_was_written(self, kept, tmp_path, spec, monkeypatch):
        first = features(kept, self.image, spec)
        again = FeatureProvider(load_backbone(NAME), engine="torch", precision="float32", features=tmp_path)
        monkeypatch.setattr(again.engine(spec), "run", None)  # cannot be called
        second = features(again, self.image, spec)
        for name in ("tokens", "prefix", "q", "k", "pixels", "prefix_qk"):
            one, two = getattr(first, name), getattr(second, name)
            assert (one is None and two is None) or torch.equal(one, two)
        assert (first.grid, first.size) == (second.grid, second.size)


class TestPositions:
    wish = FeatureSpec(layers=(-1,), side=112, squash=True, debias=0.25)

    def test_they_are_those_of_a_black_picture_of_the_working_shape(self, provider):
        found = features(provider, noise(30, 60, 90), self.wish)
        black = features(provider, np.zeros((112, 112, 3), np.uint8), FeatureSpec(layers=(-1,), side=112, squash=True))
        unit = torch.nn.functional.normalize(black.tokens[-1].double(), dim=1)
        values, vectors = torch.linalg.eigh(torch.cov(unit.T))
        expected = vectors[:, values.argsort(descending=True)[:12]].float()
        torch.testing.assert_close(found.positions @ found.positions.T, expected @ expected.T, atol=1e-3, rtol=0)

    def test_pictures_of_one_working_shape_share_one_pass(self, provider, monkeypatch):
        calls, honest = [], provider.engine(self.wish).run
        monkeypatch.setattr(provider.engine(self.wish), "run", lambda views: calls.append(views.shape) or honest(views))
        one, two = (features(provider, noise(seed, 60, 90), self.wish) for seed in (31, 32))
        assert one.positions is two.positions
        assert len(calls) == 3

    def test_tokens_and_what_is_kept_on_disk_stay_as_they_are(self, tmp_path):
        image, plain = noise(33, 60, 90), FeatureSpec(layers=(-1,), side=112, squash=True)
        kept = FeatureProvider(load_backbone(NAME), engine="torch", precision="float32", features=tmp_path)
        first = features(kept, image, plain)
        second = features(kept, image, self.wish)
        assert torch.equal(first.tokens, second.tokens)
        assert (kept.store.counts.hits, kept.store.counts.misses) == (1, 1)
        assert first.positions is None

    def test_placeless_tokens_have_no_part_along_them_and_without_the_wish_nothing_changes(self, provider):
        found = features(provider, noise(34, 60, 90), self.wish)
        assert (found.placeless().tokens @ found.positions).abs().max() < 1e-5
        plain = features(provider, noise(34, 60, 90), SPEC)
        assert plain.placeless() is plain

    def test_of_many_working_shapes_the_latest_are_kept(self, provider):
        from likewise.backbones import provider as module

        for width in range(module._BLANKS + 3):
            provider.positions((28, 28 + 14 * width), changed(layers=(-1,), debias=0.05))
        assert len(provider._positions) == module._BLANKS


def test_preparing_a_large_array_makes_no_more_than_a_copy_of_it(provider):
    import tracemalloc

    image = np.zeros((1500, 2000, 3), np.uint8)
    specs = tuple(changed(pixels=512, copy=copy) for copy in range(5))
    provider.prepare(image[:90, :70], specs)  # what is imported and kept on first use does not count
    tracemalloc.start()
    provider.prepare(image, specs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * image.nbytes


def test_squashed_views_are_square_and_made_as_published_methods_make_them(provider):
    image = np.random.default_rng(0).integers(0, 256, (150, 230, 3), np.uint8)
    squashed, plain = changed(squash=True, side=120), changed(side=120)
    views = provider.prepare(image, (squashed, plain)).views
    expected = np.asarray(Image.fromarray(image).resize((112, 112), Image.Resampling.BILINEAR))
    assert np.array_equal(views[squashed], expected)
    assert views[plain].shape[0] < views[plain].shape[1]


def test_a_squashed_view_has_a_file_of_its_own(tmp_path):
    provider = FeatureProvider(load_backbone(NAME), engine="torch", precision="float32", features=tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    one, two = (features(provider, image, changed(squash=squash, side=112)) for squash in (True, False))
    assert one.grid == two.grid
    assert not torch.equal(one.tokens, two.tokens)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_a_wish_may_name_another_backbone_which_serves_it_as_its_own(provider, tmp_path):
    image, other = noise(3, 60, 90), "random:vit-tiny-8"
    found = features(provider, image, changed(backbone=other))
    alone = features(FeatureProvider(load_backbone(other), engine="torch", precision="float32"), image, SPEC)
    assert found.grid == alone.grid != features(provider, image, SPEC).grid
    assert torch.equal(found.tokens, alone.tokens)
    assert provider.working_shape((60, 90), changed(backbone=other)) == (alone.grid[0] * 8, alone.grid[1] * 8)
    roles = provider.weights([SPEC, changed(backbone=other)])
    assert list(roles) == ["backbone", f"backbone {other}"]
    assert roles["backbone"]["sha256"] != roles[f"backbone {other}"]["sha256"]
    assert list(provider.weights([changed(backbone=NAME)])) == ["backbone"]
