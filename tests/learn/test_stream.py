"""Traces come from the shards each once an epoch, in an order that a seed makes, and from any step on as from the first."""

import itertools
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nrn_mlfit import shards
from nrn_mlfit.errors import ShardError
from nrn_mlfit.learn import open_corpus, stream
from nrn_mlfit.learn.corpus import Corpus, Piece, count
from nrn_mlfit.learn.stream import Stream


def test_a_corpus_has_the_good_sets_of_its_runs_in_pieces(decay_run):
    folder = decay_run(60)
    corpus = open_corpus([folder])
    held = shards.load_runs([folder])
    counts, targets = corpus.read(corpus.pieces)
    assert len(corpus) == 60 and counts.shape == (60, 1, 600) and counts.dtype == torch.int16
    assert np.array_equal(counts[:, 0], held.volts[:, 0, 0]) and np.allclose(targets, held.unit_par)
    assert len(open_corpus([folder], limit=25)) == 25
    assert len(open_corpus([folder, decay_run(40, seed=2)])) == 100


def test_runs_that_hold_the_same_sets_are_refused(decay_run):
    with pytest.raises(ShardError, match="set 0 of seed 1 is in"):
        open_corpus([decay_run(60), decay_run(40)])


class Numbered(Corpus):
    """A corpus whose traces are their own numbers, and which counts how many it is asked for at once."""

    def read(self, pieces):
        numbers = torch.from_numpy(np.concatenate([piece.rows for piece in pieces])).to(torch.int16)
        self.asked.append(len(numbers))
        return numbers[:, None, None], numbers[:, None].float()


def numbered(sizes):
    starts = np.cumsum([0, *sizes])
    pieces = tuple(Piece(None, None, np.arange(low, high)) for low, high in itertools.pairwise(starts))
    corpus = Numbered(pieces, {}, None)
    object.__setattr__(corpus, "asked", [])
    return corpus


def steps(flow, first, last):
    """The numbers of the sets in some steps."""
    batches = itertools.islice(flow.batches(first), last - first)
    return [counts[:, 0, 0].tolist() for counts, _ in batches]


def flow_of(sizes, batch, seed, monkeypatch=None, buffer=50):
    corpus = numbered(sizes)
    if monkeypatch:
        monkeypatch.setattr(stream, "BUFFER_BYTES", buffer)
    return Stream(corpus, corpus.pieces, batch, seed, trace_bytes=1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=40),
    st.integers(1, 12),
    st.integers(0, 99),
    st.integers(1, 60),
    st.integers(0, 70),
)
def test_from_any_step_on_it_is_what_it_is_from_the_first(sizes, batch, seed, buffer, first):
    before, stream.BUFFER_BYTES = stream.BUFFER_BYTES, buffer
    try:
        whole = steps(flow_of(sizes, batch, seed), 0, first + 12)
        assert steps(flow_of(sizes, batch, seed), first, first + 12) == whole[first:]
    finally:
        stream.BUFFER_BYTES = before


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 12), st.integers(0, 99))
def test_in_an_epoch_no_set_comes_twice_and_few_not_at_all(sizes, batch, seed):
    before, stream.BUFFER_BYTES = stream.BUFFER_BYTES, 60
    try:
        flow = flow_of(sizes, batch, seed)
        seen = [number for step in steps(flow, 0, flow.steps_an_epoch) for number in step]
        assert len(set(seen)) == len(seen)
        buffers = -(-sum(sizes) // max(batch, 60))
        assert sum(sizes) - len(seen) <= buffers * (batch - 1)
    finally:
        stream.BUFFER_BYTES = before


def test_the_order_changes_from_epoch_to_epoch_and_hangs_on_the_seed(monkeypatch):
    flow = flow_of([10] * 20, 10, 1, monkeypatch)
    assert flow.steps_an_epoch == 20
    one, two = steps(flow, 0, 20), steps(flow, 20, 40)
    assert sorted(sum(one, [])) == sorted(sum(two, [])) == list(range(200)) and one != two
    assert steps(flow_of([10] * 20, 10, 1, monkeypatch), 0, 20) == one
    assert steps(flow_of([10] * 20, 10, 2, monkeypatch), 0, 20) != one


def test_no_more_than_a_buffer_is_read_at_once(monkeypatch):
    flow = flow_of([10] * 20, 4, 1, monkeypatch)
    steps(flow, 0, 50)
    assert max(flow.corpus.asked) <= 50 and count(flow.pieces) == 200


def test_memory_does_not_grow_with_the_traces(tmp_path):
    """160 MB of traces stream through buffers of 1 MB: the process grows by far less than they are."""
    corpus = numbered([100] * 100)
    object.__setattr__(corpus, "read", lambda pieces: _large(count(pieces)))
    flow = Stream(corpus, corpus.pieces, 50, 1, trace_bytes=16_000)
    before_buffer, stream.BUFFER_BYTES = stream.BUFFER_BYTES, 2**20
    try:
        steps_done = itertools.islice(flow.batches(), 2 * flow.steps_an_epoch)
        next(steps_done)
        before = _resident()
        for _ in steps_done:
            pass
        assert _resident() - before < 40e6
    finally:
        stream.BUFFER_BYTES = before_buffer


def _large(sets):
    return torch.ones(sets, 1, 8000, dtype=torch.int16), torch.zeros(sets, 2)


def _resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
