"""Random streams: one seed, several names, each its own sequence."""

from __future__ import annotations

import threading

import pytest

import minires as mr
from minires.devices.random import generator, manual_seed, seeded, stream


def draw(count=3):
    return generator().random(count).tolist()


def test_a_seed_starts_every_stream_anew():
    draws = []
    for _ in range(2):
        manual_seed(7)
        with stream("shortcut"):
            side = draw()
        draws.append((draw(), side))
    assert draws[0] == draws[1]
    assert draws[0][0] != draws[0][1]


def test_drawing_from_another_stream_leaves_the_main_one_untouched():
    manual_seed(7)
    undisturbed = draw(6)
    manual_seed(7)
    first = draw()
    with stream("shortcut"):
        draw(100)
    assert first + draw() == undisturbed


def test_a_stream_goes_on_where_it_stopped():
    manual_seed(7)
    with stream("shortcut"):
        whole = draw(6)
    manual_seed(7)
    parts = []
    for _ in range(2):
        with stream("shortcut"):
            parts += draw()
    assert parts == whole


def test_a_seeded_block_repeats_and_disturbs_nobody():
    manual_seed(7)
    undisturbed = draw(6)
    manual_seed(7)
    outside = draw()
    blocks = []
    for _ in range(2):
        with seeded(1):
            blocks.append(draw())
            with seeded(2):
                draw()
            blocks[-1] += draw()
    assert blocks[0] == blocks[1]
    assert outside + draw() == undisturbed


def test_a_block_seeded_with_none_draws_from_the_present_streams():
    manual_seed(7)
    with seeded(None):
        first = draw()
    manual_seed(7)
    assert draw() == first


def test_a_seed_set_inside_a_seeded_block_stays_inside():
    manual_seed(7)
    expected = draw()
    manual_seed(7)
    with seeded(1):
        manual_seed(3)
        draw()
    assert draw() == expected


def test_another_thread_draws_from_the_same_seed_unless_it_has_its_own():
    manual_seed(7)
    found = []

    def work():
        with seeded(1):
            found.append(draw())

    with seeded(1):
        expected = draw()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [expected]


@pytest.mark.parametrize("wrong", [-1, 1.5, None, True, "0"])
def test_a_seed_is_a_whole_number_not_below_zero(wrong):
    with pytest.raises(ValueError, match=r"integer >= 0, found"):
        mr.manual_seed(wrong)
