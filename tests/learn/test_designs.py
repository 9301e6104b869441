"""The shipped networks are the published ones, and no other than a sensible design gets through."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nrn_mlfit.errors import DesignError
from nrn_mlfit.learn.networks import Design, TraceCNN, load_design, make_design, settle, shipped_designs

GOOD = {
    "name": "mine",
    "conv_filter": [4, 6],
    "conv_kernel": 3,
    "conv_repeat": 1,
    "pool_len": 3,
    "fc_dims": [8],
}


# Flat size and thousands of parameters, for 10 outputs: Balewski et al., NERSC/LBL, 2019.
@pytest.mark.parametrize(
    "name, length, flat, thousands",
    [
        ("golden203", 14500, 460, 106.4),
        ("410", 14500, 2750, 458.6),
        ("335", 14500, 6920, 288.6),
        ("golden203", 9000, 230, 88.0),
        ("410", 9000, 1540, 331.5),
        ("335", 9000, 4200, 190.7),
    ],
)
def test_published_sizes_come_out(name, length, flat, thousands):
    network = TraceCNN(load_design(name), 1, length, 10)
    assert network.flat_size == flat
    assert round(network.parameter_count / 1000, 1) == thousands


PUBLISHED = ["335", "410", "693", "golden203", "model1"]


def test_five_designs_ship_with_their_published_training_and_one_of_ours():
    assert shipped_designs() == [*PUBLISHED, "residual"]
    ways = {name: load_design(name) for name in PUBLISHED}
    assert {d.name: (d.loss, d.optimizer, d.last_activation) for d in ways.values()} == {
        "335": ("mse", "nadam", "linear"),
        "410": ("mse", "adam", "tanh"),
        "693": ("mae", "adam", "tanh"),
        "golden203": ("mse", "adam", "tanh"),
        "model1": ("mse", "adam", "tanh"),
    }
    assert [ways[n].batch_size for n in ("335", "410", "693", "golden203")] == [64, 256, 32, 16]
    assert ways["693"].reduce_lr == 0.14


def test_a_network_is_what_its_layers_say():
    """The fast convolution and the pooling before the rectifier give what plain Conv1d, LeakyReLU, MaxPool1d give."""
    network = TraceCNN(make_design(GOOD), 2, 60, 3).eval()
    x = torch.randn(5, 2, 60)
    y = x
    for conv in (network.body[0], network.body[3]):
        y = torch.nn.functional.leaky_relu(torch.nn.functional.conv1d(y, conv.weight, conv.bias), 0.3)
        y = torch.nn.functional.max_pool1d(y, 3)
    y = 1.2 * torch.tanh(network.head(y.flatten(1)))
    assert torch.allclose(network(x), y, atol=1e-6)


def test_a_new_network_guesses_the_middle_and_hears_its_input():
    network = TraceCNN(load_design("model1"), 1, 9000, 4)
    x = torch.randn(64, 1, 9000).cumsum(-1)
    settle(network, x)
    answers = network.eval()(x).detach()
    assert answers.abs().max() < 0.6
    assert (answers.std(0) > 0.02).all()  # not dead: different traces get different answers


@pytest.mark.parametrize(
    "change, message",
    [
        ({"conv_kernel": 0}, "design mine: conv_kernel is 0; write a whole number above 0"),
        ({"conv_filter": []}, "design mine: conv_filter is []; write a list of whole numbers above 0"),
        ({"fc_dims": [8, "x"]}, "design mine: fc_dims is [8, 'x']; write a list of whole numbers above 0"),
        ({"fc_dims": 8}, "design mine: fc_dims is 8; write a list of whole numbers above 0"),
        ({"loss": "huber"}, "design mine: loss is 'huber'; write one of mse, mae"),
        ({"drop_frac": 1.5}, "design mine: drop_frac is 1.5; write a number in 0..0.9"),
        ({"learning_rate": float("nan")}, "design mine: learning_rate is nan; write a number in 1e-07..10"),
        ({"learning_rate": "fast"}, "design mine: learning_rate is 'fast'; write a number in 1e-07..10"),
        ({"batch_size": True}, "design mine: batch_size is True; write a whole number above 0"),
    ],
)
def test_a_bad_value_is_one_sentence(change, message):
    with pytest.raises(DesignError) as error:
        make_design({**GOOD, **change})
    assert str(error.value) == message


def test_unknown_and_missing_keys_are_named():
    with pytest.raises(DesignError) as error:
        make_design({**GOOD, "dropout": 0.1})
    assert str(error.value).startswith("design mine: unknown key dropout; a design takes name, conv_filter, ")
    with pytest.raises(DesignError) as error:
        make_design({k: v for k, v in GOOD.items() if k != "pool_len"})
    assert str(error.value) == (
        "design mine: pool_len missing; a design needs conv_filter, conv_kernel, conv_repeat, pool_len, fc_dims"
    )


SMALL_RESIDUAL = {
    **{"name": "r", "stem": [7, 3], "conv_filter": [4, 6], "conv_kernel": 5, "conv_repeat": 2, "pool_len": 2},
    **{"neck": 3, "fc_dims": [5], "derivative": True, "last_activation": "linear"},
}


def by_hand(network, x):
    """The residual network of above, written out with plain one-dimensional layers."""
    F = torch.nn.functional
    stem, strided, second, neck = network.body[0], network.body[3], network.body[4], network.body[5]

    def block(part, x, stride):
        y = F.conv1d(x, part.first.weight, part.first.bias, stride, 2)
        y = F.conv1d(F.leaky_relu(y, 0.3), part.second.weight, part.second.bias, 1, 2)
        return 0.5 * y, F.avg_pool1d(x, stride, ceil_mode=True) if stride > 1 else x

    x = torch.cat([x, 10 * torch.nn.functional.pad(x.diff(dim=-1), (1, 0))], 1)
    x = F.leaky_relu(F.conv1d(x, stem.weight, stem.bias, 3, 3), 0.3)
    branch, kept = block(strided, x, 2)
    x = F.leaky_relu(
        branch + F.conv1d(kept, strided.shortcut.weight, strided.shortcut.bias)[..., : branch.shape[-1]], 0.3
    )
    branch, kept = block(second, x, 1)
    x = F.leaky_relu(branch + kept, 0.3)
    x = F.leaky_relu(F.conv1d(x, neck.weight, neck.bias), 0.3)
    return network.head(x.flatten(1))


@pytest.mark.parametrize("length", [60, 61, 64, 67])
def test_a_residual_network_is_what_its_layers_say(length):
    network = TraceCNN(make_design(SMALL_RESIDUAL), 2, length, 3).eval()
    x = torch.randn(5, 2, length)
    assert torch.allclose(network(x), by_hand(network, x), atol=1e-5)
    assert network.flat_size == 3 * network.design.pooled_length(length)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stem": [7]}, r"stem is \(7,\); write \[kernel, stride\]"),
        ({"stem": [7, 0]}, "stem is .*; write a list of whole numbers above 0"),
        ({"neck": -1}, "neck is -1; write a whole number, or 0"),
        ({"derivative": 1}, "derivative is 1; write true or false"),
        ({"average": 1}, "average is 1; write a number in 0..0.99999"),
    ],
)
def test_what_makes_no_residual_design_is_refused(change, told):
    with pytest.raises(DesignError, match=told):
        make_design({**SMALL_RESIDUAL, **change})


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(DesignError) as error:
        load_design("model7")
    assert str(error.value) == (
        "no design is called 'model7'; there are 335, 410, 693, golden203, model1, residual, or give a file"
    )


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "conv_filter: [4]\nconv_kernel: 3\nconv_repeat: 1\npool_len: 2\nfc_dims: [5]\noptimizer: adadelta\n"
    )
    design = load_design(path)
    assert (design.name, design.conv_filter, design.rate) == ("own", (4,), 1.0)
    path.write_text("conv_filter: [4]\nconv_filter: [5]\n")
    with pytest.raises(DesignError, match=r"own.yaml, line 2: 'conv_filter' is given twice"):
        load_design(path)
    path.write_text("- 4\n")
    with pytest.raises(DesignError, match=r"own.yaml: a design is a mapping, such as `conv_kernel: 5`"):
        load_design(path)


def test_too_short_traces_are_one_sentence():
    with pytest.raises(DesignError) as error:
        TraceCNN(load_design("model1"), 1, 500, 4)
    assert str(error.value) == (
        "design model1: traces of 500 samples shrink to nothing in its 6 blocks; "
        "use longer traces, or a design with fewer blocks or a smaller pool_len"
    )


sizes = st.integers(1, 6)
designs = st.builds(
    Design,
    name=st.just("drawn"),
    conv_filter=st.lists(sizes, min_size=1, max_size=3),
    conv_kernel=sizes,
    conv_repeat=st.integers(1, 3),
    pool_len=sizes,
    fc_dims=st.lists(sizes, min_size=1, max_size=3),
    last_activation=st.sampled_from(["tanh", "linear"]),
)


@given(design=designs, channels=st.integers(1, 3), length=st.integers(1, 200), outputs=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_design_is_built_or_refused(design, channels, length, outputs):
    """Whatever the sizes: the network answers with the right shape, or a DesignError says why there is none."""
    try:
        network = TraceCNN(design, channels, length, outputs).eval()
    except DesignError as error:
        assert "shrink to nothing" in str(error)
        return
    answer = network(torch.zeros(2, channels, length))
    assert answer.shape == (2, outputs)
    assert design.last_activation == "linear" or answer.abs().max() <= 1.2


@given(design=designs)
def test_a_design_survives_json(design):
    assert make_design(design.to_json()) == design
