import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.episodes.classification.answering import MethodAnswers
from likewise.episodes.classification.opening import open_classes
from likewise.episodes.classification.sampling import episode_at
from likewise.errors import InputError, OutputError, UsageError
from likewise.methods.classifiers.episode_training import EmbeddingTraining, ImageEpisode
from likewise.methods.classifiers.maml_model import meta_gradient
from likewise.task.equipping import equip
from likewise.task.learning import Place, open_provider
from likewise.training.classes import ClassDraws, Pictures, TrainedAnswers, trained_of
from likewise.training.loop import train
from likewise.training.preparing import prepare
from likewise.training.recipe import read_recipe
from likewise.training.record import read_log
from likewise.training.watching import Silent
from likewise.weights import read_card, read_checkpoint

RECIPE = """
seed = 3
episodes = 8
batch = 2
save = 4
[method]
name = "prototypical"
encoder = "conv4s"
side = 28
pixels = "ink"
[data]
drawn = {folder}
[[source]]
data = "drawn"
[classes]
way = 3
shot = 2
query = 4
batch = 6
validation_query = 3
[validation]
data = "drawn"
every = 4
episodes = 5
way = 2
shot = 1
metric = "accuracy"
"""
LEARNERS = {
    "prototypical": [],
    "matching": ["method.full_context=false"],
    "matching with full context": ["method.name=matching"],
    "relation": ["method.encoder=conv4snp"],
    "siamese": ["method.side=30", "method.widths=[3, 5]", "method.kernels=[5, 4]", "method.width=7"],
    "maml": ["method.way=2", "classes.way=2", "method.steps=2"],
    "baseline": [],
    "baseline++": [],
}


@pytest.fixture
def drawn(tmp_path):
    """Seven pictures of each of nine classes, bars at an angle of their own: five train, two validate, two test."""
    for number in range(9):
        part = "train" if number < 5 else "val" if number < 7 else "test"
        folder = tmp_path / "drawn" / part / f"bar{number}"
        folder.mkdir(parents=True)
        for copy in range(7):
            random = np.random.default_rng([number, copy])
            rows, columns = np.mgrid[:31, :37] - random.uniform(12, 20)
            plane = np.abs(np.cos(number * 0.35) * rows + np.sin(number * 0.35) * columns) < 3
            pixels = np.where(plane, 20, 235)[..., None].repeat(3, axis=2) + random.integers(0, 20, (31, 37, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{copy}.png")
    return tmp_path / "drawn"


@pytest.fixture
def recipe_of(tmp_path, drawn):
    def read(*changes):
        path = tmp_path / "recipe.toml"
        path.write_text(RECIPE.format(folder=repr(f"classes:{drawn}")))
        return read_recipe(path, changes)

    return read


def changes_of(learner):
    own = LEARNERS[learner]
    return own if any(change.startswith("method.name") for change in own) else [f'method.name="{learner}"', *own]


def prepared(recipe):
    return prepare(recipe, torch.device("cpu"), Silent())


@pytest.fixture
def learner_recipe(recipe_of):
    def read(learner):
        recipe = recipe_of(*changes_of(learner))
        if learner != "siamese":
            return recipe
        settings = {name: value for name, value in recipe.method.model_dump().items() if name != "encoder"}
        return recipe.model_copy(update={"method": type(recipe.method)(**settings)})

    return read


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_is_trained_and_answers_again_as_it_was_validated(learner, learner_recipe, tmp_path):
    recipe = learner_recipe(learner)
    outcome = train(recipe, tmp_path / "run")
    assert outcome.best is not None
    again = prepared(recipe)
    opened = dataclasses.replace(again, trainable=trained_of(tmp_path / "run"))
    scores = opened.validation.scores(opened.trainable, 0, 1, torch.device("cpu"))
    assert scores == pytest.approx(outcome.best.scores)
    before, after = (each.trainable.checkpoint() for each in (again, opened))
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("learner", ["matching with full context", "siamese", "baseline", "maml"])
def test_a_run_that_was_broken_off_ends_as_one_that_was_not(learner, learner_recipe, tmp_path, monkeypatch):
    recipe = learner_recipe(learner)
    whole = train(recipe, tmp_path / "whole")
    count = 0

    class Break(Silent):
        def step(self, episodes, loss):
            nonlocal count
            count += 1
            if count == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "broken", watcher=Break())
    parts = train(recipe, tmp_path / "broken")
    first, second = (read_checkpoint(each.checkpoint)[0] for each in (whole, parts))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert read_log(tmp_path / "whole" / "losses.csv") == read_log(tmp_path / "broken" / "losses.csv")


@pytest.mark.parametrize("learner", [name for name in LEARNERS if name != "maml"])
def test_kept_features_answer_as_the_whole_episode_does(learner, learner_recipe, drawn):
    trainable = prepared(learner_recipe(learner)).trainable
    assert isinstance(trainable, EmbeddingTraining)
    benchmark = open_classes(f"classes:{drawn}")
    items = benchmark.part("train")
    asked = items.asked(episode_at(items.draw(4, 2, 3), 6))
    whole = trainable.answers(Pictures(benchmark, trainable).episode(asked))
    assert TrainedAnswers(trainable, benchmark)(asked).tolist() == whole.argmax(dim=1).tolist()


@pytest.mark.parametrize("learner", ["prototypical", "matching", "relation", "siamese"])
def test_the_method_of_a_checkpoint_answers_as_what_was_trained_does(learner, learner_recipe, drawn, tmp_path):
    outcome = train(learner_recipe(learner), tmp_path / "run")
    ready = equip(learner, "default", {}, outcome.checkpoint)
    benchmark = open_classes(f"classes:{drawn}")
    items = benchmark.part("train")
    provider = open_provider("random:vit-tiny-14", Place(), ready.method)
    method, trained = MethodAnswers(ready.method, provider, benchmark), TrainedAnswers(trained_of(tmp_path / "run"), benchmark)
    for index in range(3):
        asked = items.asked(episode_at(items.draw(4, 2, 3), index))
        assert method(asked).tolist() == trained(asked).tolist()


def test_the_meta_gradient_reaches_the_parameters(learner_recipe):
    ready = prepared(learner_recipe("maml"))
    episode = ready.episode(2, torch.device("cpu"))
    terms = ready.trainable.episode_loss(episode, torch.Generator())
    torch.autograd.backward(terms["loss"])
    network = ready.trainable.network
    wanted = meta_gradient(network, dict(network.named_parameters()), [ready.trainable.whole(episode)], 2, ready.trainable.inner)
    assert float(terms["loss"].detach()) == pytest.approx(float(wanted.loss), rel=1e-5)
    for name, parameter in network.named_parameters():
        assert torch.allclose(parameter.grad, wanted.gradient[name], atol=1e-6), name


def test_a_hallucinator_begins_from_a_trained_encoder_which_stays_as_it_was(recipe_of, tmp_path):
    first = train(recipe_of(), tmp_path / "first")
    outcome = train(recipe_of('method.name="hallucinator"', f'method.start="{first.checkpoint}"', "method.generated=3"), tmp_path / "second")
    before, after = (read_checkpoint(each.checkpoint)[0] for each in (first, outcome))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert "hallucinator.fc1.weight" in after
    again = trained_of(tmp_path / "second")
    assert torch.equal(again.checkpoint()["hallucinator.fc2.weight"], after["hallucinator.fc2.weight"])
    assert len(list(again.parameters())) == 3  # the encoder's are not among them
    with pytest.raises(UsageError, match="trained encoder"):
        prepared(recipe_of('method.name="hallucinator"'))


def test_the_card_of_a_checkpoint_says_how_the_method_reads_pictures_and_which_classes_trained(recipe_of, tmp_path):
    outcome = train(recipe_of(), tmp_path / "run")
    card = read_card(outcome.checkpoint)
    assert (card.method, card.backbone) == ("prototypical", {})
    assert card.settings == {"encoder": "conv4s", "pixels": "ink", "side": 28}
    assert card.trained_on[0]["classes"] == [f"bar{number}" for number in range(5)]


def test_episodes_of_the_same_index_are_the_same_and_supports_are_no_queries(recipe_of, drawn):
    draws = ClassDraws(recipe_of(), open_classes(f"classes:{drawn}"), "episodes")
    assert draws.episode(5) == draws.episode(5) != draws.episode(6)
    support, query = draws.episode(5)
    assert ([len(row) for row in support], [len(row) for row in query]) == ([2, 2, 2], [4, 4, 4])
    assert not {item for row in support for item in row} & {item for row in query for item in row}


def test_batches_show_every_picture_once_before_one_comes_again(recipe_of, drawn):
    draws = ClassDraws(recipe_of(), open_classes(f"classes:{drawn}"), "batches")
    rounds = [[item for index in range(begin, begin + 5) for item, _ in draws.batch(index)] for begin in (0, 5)]
    assert all(len(set(each)) == 30 for each in rounds)
    assert rounds[0] != rounds[1]
    assert all(item.place.parent.name == f"bar{place}" for item, place in draws.batch(3))


def test_pairs_are_of_one_class_and_of_two_in_turn_and_never_of_one_picture(recipe_of, drawn):
    draws = ClassDraws(recipe_of(), open_classes(f"classes:{drawn}"), "pairs")
    pairs = [pair for index in range(20) for pair in draws.pairs(index)]
    assert [same for _, _, same in pairs[:4]] == [True, False, True, False]
    assert all((first.place.parent == second.place.parent) == same for first, second, same in pairs)
    assert all(first != second for first, second, _ in pairs)


def test_altered_pictures_differ_from_time_to_time_and_come_again_with_their_index(recipe_of):
    ready = prepared(recipe_of("classes.altered=true"))
    one, same, other = (ready.episode(index, torch.device("cpu")) for index in (1, 1, 2))
    assert torch.equal(one.support, same.support)
    assert not torch.equal(one.support, other.support)
    assert one.support.shape == (3, 2, 3, 28, 28)
    plain = prepared(recipe_of()).episode(1, torch.device("cpu"))
    assert plain.support.shape == (3, 2, 3, 32, 32)  # of which the middle is seen


def test_answers_to_a_query_do_not_hang_on_the_others(learner_recipe):
    for learner in ("prototypical", "relation", "maml"):
        ready = prepared(learner_recipe(learner))
        for index in range(3):
            ready.trainable.episode_loss(ready.episode(index, torch.device("cpu")), torch.Generator())
        episode = ready.episode(4, torch.device("cpu"))
        whole = ready.trainable.answers(episode).unflatten(0, (len(episode.query), 4))
        one = ready.trainable.answers(ImageEpisode(episode.support, episode.query[:, :1]))
        assert torch.allclose(one, whole[:, 0], atol=1e-4), learner


def test_a_temperature_divides_the_distances_in_the_loss_and_leaves_the_answers(recipe_of):
    plain, warm = prepared(recipe_of()), prepared(recipe_of("method.temperature=64"))
    episode = plain.episode(4, torch.device("cpu"))
    scores = plain.trainable.scores(episode)
    expected = torch.nn.functional.cross_entropy(scores / 64, episode.labels)
    assert torch.allclose(warm.trainable.episode_loss(episode, torch.Generator())["loss"], expected)
    assert torch.equal(plain.trainable.answers(episode), warm.trainable.answers(episode))


def test_maml_answers_queries_together_only_where_asked_to(recipe_of):
    def parts_of(*changes):
        ready = prepared(recipe_of('method.name="maml"', "method.way=2", "classes.way=2", *changes))
        episode = ready.episode(4, torch.device("cpu"))
        whole = ready.trainable.answers(episode).unflatten(0, (2, 4))
        return whole[:, 0], ready.trainable.answers(ImageEpisode(episode.support, episode.query[:, :1]))

    apart, together = parts_of(), parts_of("method.together=true")
    assert torch.allclose(*apart, atol=1e-4)
    assert not torch.allclose(*together, atol=1e-2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("classes.way=6", "6 of 5 classes"),
        ("classes.query=6", "fewer than 8 items"),
        ('method.name="protypical"', "prototypical"),
        ('method.encoder="conv5"', "no encoder 'conv5'"),
        ('method.pixels="blue"', "no pixels 'blue'"),
        ('method.encoder="conv4snp"', "does not give what the learner needs"),
        ("method.steps=2", "no setting 'steps'"),
        ("method.temperature=0", "the temperature is 0"),
    ],
)
def test_what_cannot_be_trained_is_told_before_the_first_step(recipe_of, change, told):
    with pytest.raises(UsageError) as error:
        prepared(recipe_of(change))
    assert told in f"{error.value.what} {error.value.remedy}"


def test_a_learner_of_a_fixed_number_of_classes_says_so(recipe_of):
    with pytest.raises(UsageError, match="for 4 classes, not for 3"):
        prepared(recipe_of('method.name="maml"', "method.way=4"))


@pytest.mark.parametrize("change", ["validation.metric=miou", "source.0.masks=50", "dense.targets=['mask']", "machine.devices=2"])
def test_a_recipe_of_classes_refuses_what_belongs_to_others(recipe_of, change):
    with pytest.raises(InputError):
        recipe_of(change)


def test_another_recipe_does_not_go_on_in_the_folder_of_a_run(recipe_of, tmp_path):
    train(recipe_of(), tmp_path / "run")
    with pytest.raises(OutputError, match="another run"):
        train(recipe_of("classes.query=3"), tmp_path / "run")
