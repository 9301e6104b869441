"""vector.h: exp, expm1 and reciprocal to a few units in the last place, lanes that know nothing of each other, NaN stays."""

import ctypes
import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest

LANES = Path(__file__).parents[2] / "nrn_mlfit" / "simulator" / "lanes"
FLAGS = [
    "-std=c++17",
    "-O3",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wall",
    "-Wextra",
    "-Werror",
]
BUILDS = {  # bytes in a register, -march, what /proc/cpuinfo has to list
    "avx512": (64, "x86-64-v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
    "avx2": (32, "x86-64-v3", "avx2 fma"),
    "sse": (16, "x86-64-v2", "sse4_2"),
}
if platform.machine() != "x86_64":
    BUILDS = {"native": (16, "native", "")}

COUNT = 1 << 18
BY_EXP = ["exp", "expm1", "exp_of_both", "expm1_of_both"]
ALL = [*BY_EXP, "reciprocal", "refined_reciprocal", "sqrt", "floor", "fabs", "log", "tanh", "less", "equal", "scalars"]


class Library:
    """A build of the harness: library("rate_exp", x, y) -> array. `real` is the number type of `kind`."""

    def __init__(self, file, kind):
        self.loaded = ctypes.CDLL(str(file))
        self.kind = kind
        self.lanes = self.loaded.lanes()
        self.real = np.float32 if kind == "rate" and self.loaded.rate_bytes() == 4 else np.float64
        self.limit = 80 if self.real is np.float32 else 700
        self.digits = 1 + np.finfo(self.real).nmant

    def __call__(self, name, x, y=1.0):
        x, y = (np.ascontiguousarray(a, dtype=np.float64) for a in np.broadcast_arrays(x, y))
        count = len(x)
        x, y = (np.concatenate([a, np.ones(-count % self.lanes)]) for a in (x, y))
        out = np.empty(len(x))
        function = getattr(self.loaded, f"{self.kind}_{name}")
        function(ctypes.c_long(len(x)), *(ctypes.c_void_p(a.ctypes.data) for a in (x, y, out)))
        return out[:count]

    def rounded(self, x):
        """x in the number type's precision; as double, which is what goes in and out."""
        return np.asarray(x, dtype=self.real).astype(np.float64)

    def ulps(self, got, truth):
        """The largest error, in units in the last place of the true value."""
        unit = np.spacing(np.abs(truth).astype(self.real)).astype(np.longdouble)
        return float(np.max(np.abs(got - truth) / unit))


@pytest.fixture(scope="module", params=[f"{build}-{p}" for build in BUILDS for p in ("double", "mixed")])
def compiled(request, tmp_path_factory):
    build, precision = request.param.split("-")
    lane_bytes, march, needed = BUILDS[build]
    if needed and not set(needed.split()) <= set(Path("/proc/cpuinfo").read_text().split()):
        pytest.skip(f"this processor has no {needed.split()[0]}")
    file = tmp_path_factory.mktemp("harness") / "harness.so"
    words = [*FLAGS, f"-march={march}", f"-DLANE_BYTES={lane_bytes}", *["-DMIXED"] * (precision == "mixed")]
    source = Path(__file__).with_name("vector_harness.cpp")
    subprocess.run(["g++", *words, "-shared", "-fPIC", f"-I{LANES}", source, "-o", file], check=True, timeout=120)
    return file


@pytest.fixture(params=["wide", "rate"])
def library(request, compiled):
    return Library(compiled, request.param)


def arguments(library, seed=0):
    """Uniform over the range of exp, and log-uniform about 0, of both signs."""
    rng = np.random.default_rng(seed)
    small = 2.0 ** rng.uniform(-100, 5, COUNT) * rng.choice([-1, 1], COUNT)
    halves = np.log(2) * (np.arange(-1020, 1021) + 0.5)  # where the exponent of the result changes
    x = np.concatenate([rng.uniform(-1, 1, COUNT) * library.limit, rng.uniform(-2, 2, COUNT), small, halves])
    return library.rounded(np.clip(x, -library.limit, library.limit))


@pytest.mark.parametrize("name", BY_EXP)
def test_error_of_exp_and_expm1(library, name):
    x = arguments(library)
    truth = (np.expm1 if "expm1" in name else np.exp)(x.astype(np.longdouble))
    assert library.ulps(library(name, x), truth) <= (2.5 if "expm1" in name else 1.2)


@pytest.mark.parametrize("name", ["reciprocal", "refined_reciprocal"])
def test_error_of_reciprocals(library, name):
    rng = np.random.default_rng(1)
    octaves = 1020 if library.real is np.float64 else 125
    x = 2.0 ** rng.uniform(-octaves, octaves, 2 * COUNT) * rng.choice([-1, 1], 2 * COUNT)
    x = library.rounded(np.concatenate([x, 1 + rng.uniform(0, 1, COUNT), 2.0 ** np.arange(-octaves, octaves + 1)]))
    assert library.ulps(library(name, x), 1 / x.astype(np.longdouble)) <= (0.5 if name == "reciprocal" else 2)


def test_exp_beyond_its_range_stays_at_its_ends(library):
    x = np.array([1.0, 1.0001, 2, 1e6, np.inf]) * library.limit
    for name in BY_EXP:
        up, down = library(name, x), library(name, -x)
        assert (up == up[0]).all() and (down == down[0]).all()
        assert np.isfinite(library.rounded(1000 * up[0])) and np.isfinite(library.rounded(1 / up[0]))
    assert (library("expm1", -x) == -1).all()


def test_nan_stays_nan(library):
    bad = np.array([np.nan, -np.nan, np.uint64(0x7FF0000020000000).view(np.float64)])
    for name in [
        *BY_EXP,
        "reciprocal",
        "refined_reciprocal",
        "sqrt",
        "floor",
        "fabs",
        "fmin",
        "fmax",
        "log",
        "scalars",
    ]:
        assert np.isnan(library(name, bad)).all(), name
    assert np.isnan(library("fmin", 1.0 + np.zeros(3), bad)).all()


def test_expm1_of_nothing_keeps_its_sign(library):
    for name in ("expm1", "expm1_of_both"):
        assert np.array_equal(np.signbit(library(name, np.array([0.0, -0.0]))), [False, True])
        tiny = library.rounded(np.array([1e-30, -1e-30, np.finfo(library.real).tiny]))
        assert np.array_equal(library(name, tiny), tiny)


def test_no_plausible_reciprocal_of_nothing(library):
    for name in ("reciprocal", "refined_reciprocal"):
        assert not np.isfinite(library(name, np.array([0.0, -0.0]))).any()
        infinite = library(name, np.array([np.inf, -np.inf]))
        assert (~np.isfinite(infinite) | (infinite == 0)).all()


@pytest.mark.parametrize("name", ALL)
def test_a_lane_depends_on_no_other(library, name):
    rng = np.random.default_rng(2)
    special = [0, -0.0, np.nan, np.inf, -np.inf, 1, -1, 1e-310, 700, -700, 3e38, 0.34657359]
    values = np.concatenate([special, rng.normal(size=300) * 10, rng.normal(size=200) * 0.1])
    y = np.ones(library.lanes)
    for x in values:
        alone = library(name, np.full(library.lanes, x), y)  # the same in every lane
        assert np.array_equal(alone, np.full(library.lanes, alone[0]), equal_nan=True)
    results = library(name, np.repeat(values, library.lanes))[:: library.lanes]
    for _ in range(200):
        chosen = rng.integers(len(values), size=4 * library.lanes)  # any value in any lane, beside any other
        got = library(name, values[chosen])
        assert np.array_equal(got, results[chosen], equal_nan=True)
        assert np.array_equal(np.signbit(got[~np.isnan(got)]), np.signbit(results[chosen][~np.isnan(got)]))


def test_operators_and_the_other_functions(library):
    rng = np.random.default_rng(3)
    x, y = library.rounded(rng.normal(size=(2, 4096)) * 3)
    x[::7] = y[::7]
    expected = {
        "add": x + y,
        "subtract": x - y,
        "multiply": x * y,
        "divide": x / y,
        "scalars": (3 - x * 2) / 7 + 1,
        "compound": -((x + y - 3) * y / 2),
        "fmin": np.minimum(x, y),
        "fmax": np.maximum(x, 0.5),
        "fabs": np.abs(x),
        "floor": np.floor(x),
        "tanh": np.tanh(x),
        "pow_scalar": 2**x,
        "less": np.where(x < y, x, y),
        "not_less": np.where(x < y, 2, 1),
        "between": np.where((x >= -1) & (x <= y), x, 0),
        "outside": np.where((x > 1) | (x < -1) | (x != y), 5, y),
        "equal": np.where(x == y, 1, x),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(
            library(name, x, y), value, rtol=3 * 2.0**-library.digits, atol=60 * 2.0**-library.digits
        )
    x = np.abs(x)
    for name, value in {"sqrt": np.sqrt(x), "log": np.log(x), "pow": x**y}.items():
        np.testing.assert_allclose(library(name, x, y), value, rtol=3 * 2.0**-library.digits)


def test_differences_of_a_wide_keep_their_bits(compiled):
    library = Library(compiled, "rate")
    c = library.rounded(-40.0)
    x = c + np.random.default_rng(4).uniform(-1, 1, 4096) * 2.0 ** np.arange(-16, 0).repeat(256)
    np.testing.assert_allclose(library("affine", x, c), (x - c) * 0.25, rtol=3 * 2.0**-library.digits)
    assert np.array_equal(library("masks", x + 40.1), np.where(x + 40.1 > 0, 1, x + 40.1))
