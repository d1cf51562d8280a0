"""The swarm's options."""

from random import Random

from raftwerk.sim.options import FAULT_KINDS, RELEASE_FAULT_KINDS, Options, draw


def test_one_seed_draws_one_set_of_options() -> None:
    assert draw(Random("5")) == draw(Random("5"))
    assert draw(Random("5")) != draw(Random("6"))


def test_many_seeds_draw_everything() -> None:
    """Sizes from one to seven, learners, joint configurations, mixed releases, and each fault, off and on."""
    drawn = [draw(Random(seed)) for seed in range(300)]
    assert {len(options.membership.nodes) for options in drawn} == set(range(1, 8))
    assert any(options.membership.learners for options in drawn)
    assert any(options.membership.outgoing for options in drawn)
    assert len({options.sessions_unkept_max for options in drawn}) == 4
    assert {bool(options.disk.refused_chunks) for options in drawn} == {True, False}
    assert {bool(options.upgraded) for options in drawn} == {True, False}
    for kind in (*FAULT_KINDS, *RELEASE_FAULT_KINDS):
        assert {kind in options.faults.counts for options in drawn} == {True, False}


def test_options_of_a_scenario_have_no_faults() -> None:
    assert Options().faults.counts == {}
    assert Options().network.loss == 0
