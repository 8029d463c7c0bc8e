from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import minires as mr
from minires.data.archives import FolderFiles
from minires.training import Callback, DivergedError, Trainer
from minires.training.distributed import Alone, DistributedError
from minires.training.flat_gradients import FlatGradients
from minires.training.runs.course import Course
from minires.training.runs.recipes import configured
from minires.training.runs.watching import RunWatcher
from tests.training.distributed.jobs import (
    assert_equal_runs,
    data,
    loader_of,
    network,
    trained,
)
from tests.training.distributed.ranks import on_ranks


@pytest.mark.parametrize("size", [2, 4])
def test_ranks_with_their_part_of_a_batch_equal_one_rank_with_all_of_it(size):
    """50 images in batches of 12: the last has 2, so that two of four ranks have none of it."""
    images = 50
    alone = trained(images=images)
    for found in on_ranks(size, lambda ranks: trained(ranks, images=images)):
        assert_equal_runs(found, alone)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_shares_of_unequal_size_count_by_their_images(accumulate):
    """Batches of 7 images, 4 for one rank and 3 for the other; the last of 5."""

    def run(ranks=None):
        # Batch norm sees the parts of a batch, which are other ones; so it is left out.
        model = network(norm="fixup")
        return trained(ranks, model=model, images=40, batch=7, accumulate=accumulate)

    alone = run()
    for found in on_ranks(2, run):
        assert_equal_runs(found, alone)


def test_shares_of_unequal_size_equal_one_rank_with_synchronised_statistics():
    alone = trained(images=40, batch=7)
    for found in on_ranks(2, lambda ranks: trained(ranks, images=40, batch=7)):
        assert_equal_runs(found, alone)


def test_blocks_that_are_computed_again_meet_the_other_ranks_again():
    alone = trained(epochs=1)

    def run(ranks):
        model = network(sync=ranks)
        assert mr.nn.checkpoint_blocks(model) == 3
        return trained(ranks, model=model, epochs=1)

    for found in on_ranks(2, run):
        assert_equal_runs(found, alone)


def test_clipping_sees_the_gradient_of_the_whole_batch():
    alone = trained(clip_grad_norm=0.5)
    assert_equal_runs(on_ranks(2, lambda ranks: trained(ranks, clip_grad_norm=0.5))[1], alone)


def test_callbacks_see_the_gradient_of_the_whole_batch():
    class Norms(Callback):
        def __init__(self):
            self.seen = []

        def on_gradients(self, trainer, step):
            self.seen.append([np.abs(p.grad.numpy()).sum() for p in trainer.model.parameters()])

    def run(ranks=None):
        norms = Norms()
        trained(ranks, callbacks=[norms], epochs=1)
        return norms.seen

    alone = run()
    for seen in on_ranks(2, run):
        np.testing.assert_allclose(seen, alone, rtol=1e-9)


def test_local_statistics_stay_local_and_parameters_equal():
    def run(ranks):
        return trained(ranks, model=network(), epochs=1)

    first, second = on_ranks(2, run)
    for name, value in first.items():
        if "running" in name:
            assert np.abs(value - second[name]).max() > 1e-6
        else:
            np.testing.assert_array_equal(value, second[name], err_msg=name)


def test_evaluation_lends_the_statistics_of_rank_0_and_takes_them_back():
    dataset = data(13)  # the last batch of 6 is one image, on rank 0
    models = [network(), network()]
    models[1].bn1.running_mean.copy_(np.full(4, 9.0))
    whole = Trainer(models[0], mr.optim.SGD(models[0].parameters()))
    expected = whole.evaluate(loader_of(dataset, 6), confusion=True)

    def run(ranks):
        model = models[ranks.rank]
        trainer = Trainer(model, mr.optim.SGD(model.parameters()), communicator=ranks)
        return trainer.evaluate(loader_of(dataset, 6, ranks), confusion=True)

    found = on_ranks(2, run)
    assert found[0][:3] == found[1][:3]
    assert found[0].images == 13
    for each in found:
        np.testing.assert_array_equal(each.confusion, expected.confusion)
    np.testing.assert_allclose(found[0][:2], expected[:2], rtol=1e-12)
    np.testing.assert_array_equal(models[1].bn1.running_mean.numpy(), np.full(4, 9.0))


def test_evaluation_goes_on_with_a_rank_that_has_no_image():
    def run(ranks):
        model = network()
        trainer = Trainer(model, mr.optim.SGD(model.parameters()), communicator=ranks)
        own = [] if ranks.rank == 0 else loader_of(data(5), 5)
        found = trainer.evaluate(own, confusion=True)
        return found.images, found.confusion.sum()

    assert on_ranks(2, run) == [(5, 5), (5, 5)]


def test_evaluation_of_nothing_at_all_is_refused_by_every_rank():
    def run(ranks):
        model = network()
        with pytest.raises(ValueError, match="no rank's loader yields a batch"):
            Trainer(model, mr.optim.SGD(model.parameters()), communicator=ranks).evaluate([])

    on_ranks(2, run)


@pytest.mark.parametrize("sync", [True, False])
def test_a_loss_that_one_rank_loses_stops_all_with_the_same_words(sync):
    """Rank 1's batch holds a NaN; rank 0 would see nothing wrong, and wait for ever."""

    def run(ranks):
        images = np.ones((4, 3, 8, 8))
        if ranks.rank == 1:
            images[2, 0, 0, 0] = np.nan
        batch = mr.tensor(images), mr.tensor([0, 1, 2, 3])
        model = network(sync=ranks if sync else None)
        before = [value.numpy().copy() for value in model.state_dict().values()]
        trainer = Trainer(model, mr.optim.SGD(model.parameters(), lr=1.0), communicator=ranks)
        with pytest.raises(DivergedError) as caught:
            trainer.fit([batch], 1)
        for value, kept in zip(model.state_dict().values(), before, strict=True):
            np.testing.assert_array_equal(value.numpy(), kept)
        assert caught.value.cause == "batch"
        return str(caught.value)

    told = on_ranks(2, run)
    assert told[0] == told[1]
    assert "It arose on rank 1" in told[0]


def test_a_rank_whose_one_image_has_no_variance_alone_still_hears_why_training_stopped():
    """The reason is looked for by each rank for itself, where one value cannot be normalised."""

    def run(ranks):
        layers = mr.nn.Linear(3, 4), mr.nn.SyncBatchNorm(4, communicator=ranks), mr.nn.Linear(4, 2)
        model = mr.nn.Sequential(*layers)
        image = mr.full((1, 3), np.nan if ranks.rank == 1 else 1.0)
        trainer = Trainer(model, mr.optim.SGD(model.parameters()), communicator=ranks)
        with pytest.raises(DivergedError, match="The input batch itself holds 3 NaN"):
            trainer.fit([(image, mr.tensor([0]))], 1)

    on_ranks(2, run)


def test_ranks_whose_loaders_differ_in_length_are_refused_before_they_wait():
    def run(ranks):
        model = network(sync=ranks)
        trainer = Trainer(model, mr.optim.SGD(model.parameters()), communicator=ranks)
        trainer.fit(loader_of(data(10 + 10 * ranks.rank), 5), 1)

    with pytest.raises(DistributedError, match="number of batches of rank 0 and rank 1 differ"):
        on_ranks(2, run)


def test_ranks_whose_loaders_end_at_different_steps_are_told_so_and_do_not_wait():
    """Of generators nobody knows the length beforehand."""

    class Stream:
        def __init__(self, batches):
            self.batches = batches

        def __iter__(self):
            return iter(loader_of(data(5 * self.batches), 5))

    def run(ranks):
        model = network(sync=ranks)
        trainer = Trainer(model, mr.optim.SGD(model.parameters()), communicator=ranks)
        told = "the loader of rank 0 yields fewer batches than that of rank 1"
        with pytest.raises(DistributedError, match=told):
            trainer.fit(Stream(2 + ranks.rank), 1)
        return trainer.step

    assert on_ranks(2, run) == [2, 2]


def test_ranks_without_images_take_part_with_local_statistics_too():
    def run(ranks):
        model = network()
        found = trained(ranks, model=model, images=13, epochs=1)  # the last batch has one image
        return found, model.bn1.running_mean.numpy()

    first, *others = on_ranks(3, run)
    assert first[0]["images"].tolist() == [13]
    for found, average in others:
        assert np.isfinite(average).all()
        np.testing.assert_array_equal(found["conv1.weight"], first[0]["conv1.weight"])


def test_a_batch_that_no_rank_has_an_image_of_is_refused_by_all():
    def run(ranks):
        model = network()
        trainer = Trainer(model, mr.optim.SGD(model.parameters()), communicator=ranks)
        with pytest.raises(DistributedError, match="no rank has an image of this batch"):
            trainer.fit([(mr.zeros(0, 3, 8, 8), mr.tensor([], dtype="int64"))], 1)

    on_ranks(2, run)


def test_ranks_that_drift_apart_are_noticed_at_the_end_of_the_epoch():
    class Meddle(Callback):
        def on_step(self, trainer, step):
            trainer.model.conv1.weight.data[0, 0, 0, 0] += 1e-9

    def run(ranks):
        trained(ranks, callbacks=[Meddle()] if ranks.rank == 1 else [])

    with pytest.raises(DistributedError, match="checksum of the parameters of rank 0 and rank 1"):
        on_ranks(2, run)


def test_what_ends_one_rank_alone_is_refused_with_several():
    def run(ranks):
        trained(ranks, anomaly=True)

    with pytest.raises(ValueError, match="Look for anomalies with one rank"):
        on_ranks(2, run)


def test_one_rank_is_a_trainer_as_always():
    found, expected = trained(Alone()), trained()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_gradients_travel_in_one_message_for_each_dtype():
    def run(ranks):
        single, double = mr.ones(2, 3, requires_grad=True), mr.ones(4, requires_grad=True)
        wide = mr.ones(2, dtype="float64", requires_grad=True)
        for number, parameter in enumerate((single, double, wide), 1 + ranks.rank):
            parameter.grad = number * mr.ones(*parameter.shape, dtype=parameter.dtype)
        FlatGradients(ranks).add_up([single, double, wide])
        return ranks.sent, [p.grad.numpy().mean() for p in (single, double, wide)]

    for sent, means in on_ranks(2, run):
        assert sent == [(12,), (3,)]
        assert means == [3.0, 5.0, 7.0]


def test_a_gradient_that_only_some_ranks_have_reaches_all_and_none_stays_none():
    def run(ranks):
        some, nobody, frozen = (mr.ones(2, requires_grad=r) for r in (True, True, False))
        if ranks.rank == 1:
            some.grad = mr.tensor([1.0, 2.0])
        FlatGradients(ranks).add_up([some, nobody, frozen])
        assert nobody.grad is None
        assert frozen.grad is None
        return some.grad.numpy().tolist()

    assert on_ranks(3, run) == [[1.0, 2.0]] * 3


def test_files_that_one_rank_cannot_read_end_the_runs_of_all(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), np.uint8)
    for place in np.ndindex(2, 3):
        file = tmp_path / "pictures" / "ab"[place[0]] / f"{place[1]}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise[place]).save(file)
    config = configured("cifar_resnet8", str(tmp_path / "pictures"), schedule="constant")
    read = FolderFiles.sum_of

    def run(ranks):
        local.rank = ranks.rank
        return Course(config, tmp_path / "run", RunWatcher(), ranks)

    def refused(files, name):
        if local.rank == 1:
            raise PermissionError(13, "Permission denied", name)
        return read(files, name)

    local = threading.local()
    monkeypatch.setattr(FolderFiles, "sum_of", refused)
    with pytest.raises(DistributedError, match="rank 1 of 2: PermissionError"):
        on_ranks(2, run)


def test_statistics_of_one_rank_that_are_no_numbers_end_the_runs_of_all(tmp_path):
    config = configured("cifar_resnet8", "digits", model_options={"width": 2})

    def run(ranks):
        course = Course(config, tmp_path / "run", RunWatcher(), ranks)
        course.trainer = SimpleNamespace(step=3, epoch=1)
        if ranks.rank == 1:
            course.model.bn1.running_var.copy_(np.inf)
        with pytest.raises(DivergedError, match="some weights are not finite"):
            course.checkpoint()

    on_ranks(2, run)
