"""The page of a fit: whole by itself, readable by everyone, and true to what the fit's folder holds."""

import base64
import io
import re
import zipfile
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nrn_mlfit import features
from nrn_mlfit.around import Around
from nrn_mlfit.comparison import Comparison
from nrn_mlfit.fit import Fit, Value
from nrn_mlfit.recordings import Recording
from nrn_mlfit.recordings.membrane import Measure
from nrn_mlfit.report import bars, downloads, judgement, page, panels
from nrn_mlfit.report.html import Html, safe, tag

DT = 0.05
TIME = np.arange(0, 200, DT)
VOLTS = -70 + 110 * np.exp(-0.5 * ((TIME[None] - np.array([40, 90, 150])[:, None]) / 0.6) ** 2).sum(axis=0)
CURRENT = np.where(TIME > 20, 0.15, 0.0)
HOSTILE = "</title><script>alert('x')</script>\"' onload=\"x\" & $body ${links} <img src=http://evil.example/x.png>"
LOADS = ("src", "href", "xlink:href", "srcset", "poster", "data", "action", "background", "formaction", "cite", "ping")


def value(name="gna", truth=5.0, **changes):
    held = {"value": 4.0, "lo68": 3.0, "hi68": 5.0, "lo90": 2.0, "hi90": 6.5, "spread": 0.5, "low": 0.0, "high": 10.0}
    return Value(name, **{**held, "unit": "pS/um2", "unit_par": -0.2, "truth": truth, **changes})


def fit(**changes):
    provenance = {
        "cell": "mine",
        "cell_hash": "c" * 64,
        "versions": {"neuron": "9.0.2"},
        "command": "nrn-mlfit fit a.npz",
    }
    provenance["simulation"] = {"current_unit": "nA", "dt": DT}
    alarm = {"threshold": 1.5, "signals": {"the networks disagree": -2.0, "the voltage's course is unusual": 0.25}}
    held = {"values": (value(),), "warnings": (), "recording": {"name": "a.npz"}, "provenance": provenance}
    return Fit(**{**held, "score": 0.25, "alarm": alarm, **changes})


def shown(found=None, **changes):
    membrane = (Measure("rest", "mV", -70.25, -69.0), Measure("time constant", "ms", None, None, "no step"))
    firing = (Measure("first spike", "ms", 12.5, 14.0), Measure("spike width", "ms", 1.25, 0.875))
    comparison = Comparison(3.217, 1.234, 3, 4, 0.76, firing, membrane, ())
    files = {"fit.hoc": b"// fit\n", "mod/na.mod": b"NEURON {}\n", "expected.txt": b"-70.0\n" * 20_000}
    held = {"recording": Recording(VOLTS, CURRENT, DT, "a.npz"), "simulated": VOLTS[None, None] + 1.0}
    return page.Shown(**{"fit": found or fit(), **held, "comparison": comparison, "files": files, **changes})


class Seen(HTMLParser):
    """What a browser would find: elements with their attributes, and the text of the page outside its style."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.styles, self.inside = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = [*self.inside, tag] if tag not in ("meta", "img", "link", "br") else self.inside

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.inside and self.inside[-1] == tag, f"<{self.inside[-1:]}> is closed by </{tag}>"
        self.inside.pop()

    def handle_data(self, data):
        (self.styles if self.inside[-1:] == ["style"] else self.text).append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def words(self):
        return " ".join("".join(self.text).split())


@pytest.fixture(scope="module")
def text():
    return page.fit_page(shown())


@pytest.fixture(scope="module")
def seen(text):
    return Seen(text)


def loaded(seen):
    """Whatever a browser would fetch for the page, or by a click in it."""
    for _, attributes in seen.elements:
        yield from (held for key, held in attributes.items() if key in LOADS and held)
        yield from re.findall(r"url\(([^)]*)\)", attributes.get("style") or "")
        yield from re.findall(r"url\(([^)]*)\)", attributes.get("clip-path") or "")
    for style in seen.styles:
        assert "@import" not in style
        yield from re.findall(r"url\(([^)]*)\)", style)


def test_the_page_loads_nothing(seen):
    assert not {name for name, _ in seen.elements} & {"script", "link", "img", "iframe", "object", "embed", "image"}
    assert all(held.startswith(("#", "data:")) for held in loaded(seen))
    (policy,) = [m["content"] for m in seen.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert "http:" not in "".join(seen.styles) and not [k for _, a in seen.elements for k in a if k.startswith("on")]


def test_every_element_is_closed_and_every_link_leads_somewhere(seen):
    assert not seen.inside
    ids = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    within = {held[1:] for held in loaded(seen) if held.startswith("#")}
    named = {attributes["aria-labelledby"] for _, attributes in seen.elements if "aria-labelledby" in attributes}
    assert within | named <= set(ids)


def test_the_order_is_that_in_which_one_looks(seen):
    wanted = ["verdict", "traces", "parameters", "alarm", "closeness", "around", "features", "provenance", "files"]
    assert [a["id"] for a in seen.all("section")] == wanted
    assert [name for name, _ in seen.elements if re.fullmatch("h[1-3]", name)][:3] == ["h1", "h2", "h2"]


def test_pictures_have_words_and_tables_have_heads(seen):
    pictures = seen.all("svg")
    assert len(pictures) >= 5 and all(p["role"] == "img" and p["aria-label"] for p in pictures)
    assert seen.elements[0] == ("html", {"lang": "en"})
    tables, captions = seen.all("table"), seen.all("caption")
    assert len(tables) == len(captions) >= 5
    assert all(head.get("scope") in ("col", "row") for head in seen.all("th"))
    assert all(d["tabindex"] == "0" and d["aria-label"] for d in seen.all("div") if d.get("class") == "scroll")


def test_light_dark_and_paper_have_colours_of_their_own(seen):
    (style,) = seen.styles
    names = re.findall(r"(--\w+):", style[: style.index("@media")])
    for rule in ("@media (prefers-color-scheme: dark)", "@media print"):
        start = style.index(rule)
        assert re.findall(r"(--\w+):", style[start : style.index("}", start)]) == names
    used = set(re.findall(r"var\((--\w+)\)", style)) - {"--mark"}
    assert used <= set(names)


def luminance(colour):
    """Of "#rrggbb", by WCAG 2.2."""
    parts = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("rule", [":root", "@media (prefers-color-scheme: dark)", "@media print"])
def test_text_and_lines_stand_out(seen, rule):
    """WCAG 2.2: a contrast of 4.5 for text, of 3 for graphics."""
    style = seen.styles[0]
    start = style.index(rule)
    colours = dict(re.findall(r"--(\w+): (#\w{6})", style[start : style.index("}", start)]))
    for name, least in {**dict.fromkeys(["ink", "soft", "good", "bad", "link"], 4.5), "fit": 3, "recorded": 3}.items():
        for ground in ("ground", "raised"):
            one, other = sorted((luminance(colours[name]), luminance(colours[ground])))
            assert (other + 0.05) / (one + 0.05) >= least, (name, ground)


def test_pictures_take_the_page_s_colours(text):
    pictures = "".join(re.findall(r'<svg class="plot.*?</svg>', text, re.DOTALL))
    assert {"var(--recorded)", "var(--fit)", "var(--ink)"} <= set(re.findall(r"var\(--\w+\)", pictures))
    assert not re.findall(r"#[0-9a-f]{6}\b", pictures)


def test_whatever_a_file_or_a_parameter_is_called_stays_text():
    names = dict.fromkeys(["cell", "design", "command"], HOSTILE)
    found = fit(
        values=(value(HOSTILE, unit=HOSTILE),),
        warnings=(HOSTILE,),
        recording={"name": HOSTILE, HOSTILE: {HOSTILE: HOSTILE}},
        provenance={
            **names,
            "versions": {HOSTILE: HOSTILE},
            "simulation": {"current_unit": HOSTILE},
            "made": [HOSTILE],
        },
        alarm={"threshold": 1.0, "signals": {HOSTILE: 2.0}},
    )
    seen = Seen(page.fit_page(shown(found, command=HOSTILE, files={HOSTILE: b"x"})))
    assert not seen.inside and all(held.startswith(("#", "data:")) for held in loaded(seen))
    assert not {name for name, _ in seen.elements} & {"script", "img"}
    assert not [key for _, attributes in seen.elements for key in attributes if key.startswith("on")]
    plain = " ".join(HOSTILE.split())
    assert seen.words.count(plain) >= 12
    (link,) = [a["download"] for a in seen.all("a") if a.get("download", "x.zip")[-4:] != ".zip"]
    assert link == HOSTILE.rsplit("/", 1)[-1]  # a path's last part


@given(st.text())
def test_text_is_escaped_and_markup_is_not(words):
    held = tag("td", words, title=words)
    found = Seen(held)
    assert [name for name, _ in found.elements] == ["td"] and not found.inside
    assert safe(held) is held and isinstance(held, Html)


def test_the_figures_are_those_of_the_fit(seen):
    assert "4.0 3.0 to 5.0 2.0 to 6.5" in " ".join(" ".join(seen.text).split())
    assert "has 4 spikes where the recording has 3 spikes, and its voltage differs by 3.22 mV (rms)" in seen.words
    rows = " ".join(" ".join(seen.text).split())
    assert "spikes recorded 3 " in rows and "spikes in the fitted cell 4 " in rows
    assert "coincidence 0.76 " in rows and "rms difference 3.22 mV" in rows
    assert "rms between spikes 1.23 mV" in rows and "rest -70.2 -69.0 mV" in rows
    assert "time constant \N{EN DASH} \N{EN DASH} ms no step" in rows
    assert "5.0; -10.0" in rows  # the true value, and the error in % of the range
    assert "Score 0.25, alarm from 1.50." in seen.words
    for held in ("c" * 64, "9.0.2", "nrn-mlfit fit a.npz"):
        assert held in rows


def test_in_range_is_followed_by_what_does_not_agree(seen):
    assert "DOES NOT AGREE" not in seen.words
    apart = replace(shown().comparison, disagreements=("few spikes coincide (0.10, wanted 0.5)",))
    text = page.fit_page(shown(comparison=apart))
    words = Seen(text).words
    told = "DOES NOT AGREE: the fitted cell does not do what the recording does: few spikes coincide (0.10, wanted 0.5)"
    assert words.index("In range") < words.index(told) < words.index("No raw estimate lies beyond")
    assert 'class="apart"' in text and 'class="verdict bad"' in text
    assert "In range, but the fitted cell does something else" in words and "fit with --refine 2000" in words
    assert 'class="verdict good"' in page.fit_page(shown())


def test_the_cells_around_are_drawn_or_the_command_is_named(seen):
    assert "nrn-mlfit around FIT" in seen.words
    volts = np.stack([VOLTS, VOLTS - 3, np.full_like(VOLTS, -65)])[:, None, None].astype(np.float32)
    held = Around(("gna",), np.array([[3.5], [4.0], [4.4]]), volts, 10.0, 1, 3)
    found = Seen(page.fit_page(shown(around=held)))
    assert "3 cells with each parameter within 10% of its range: 0 to 3 spikes, median 3" in found.words
    assert "nrn-mlfit around FIT" not in found.words
    ids = [p.get("aria-label", "") for p in found.all("svg") if p.get("class") == "plot narrow"]
    assert any(label.startswith("3 cells") for label in ids)
    far = np.sqrt(np.mean((VOLTS + 65) ** 2))
    assert f"is 0.00 to {far:.2f} mV, median 3.00 mV; that of the fitted cell is 3.22 mV" in found.words


def test_a_fit_out_of_range_tells_its_reasons():
    told = ("gna lies above its range [0, 10] pS/um2", "voltages -99.0 to 40.0 mV leave what was trained on")
    words = Seen(page.fit_page(shown(fit(warnings=told)))).words
    assert "Out of range: do not trust these values" in words and all(line in words for line in told)
    assert "neither intervals nor this column tell anything of it" in words


def test_a_recording_of_a_real_cell_carries_no_guarantee(seen):
    words = Seen(page.fit_page(shown(fit(values=(value(truth=None),))))).words
    assert words.count("for a recording of a real cell they carry no coverage guarantee") == 2
    assert "no coverage guarantee" not in seen.words


def test_without_efel_the_page_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(features, "find_spec", lambda name: None)
    assert 'To get it: pip install "nrn_mlfit[efel]"' in Seen(page.fit_page(shown())).words


def test_with_efel_its_features_stand_side_by_side(seen):
    pytest.importorskip("efel", reason="no eFEL here; it comes with nrn_mlfit[efel]")
    (peak,) = [f for f in features.compare(VOLTS, VOLTS + 1, CURRENT, DT) if f.name == "peak_voltage"]
    rows = " ".join(" ".join(seen.text).split())
    words = seen.words
    assert "steepest rise*" in words and "steepest rise of all" in words
    assert "* Its steepest rise is another figure than that of the phase plane" in words
    assert f"peak_voltage {peak.recorded:.2f} {peak.fitted:.2f} {peak.difference:+.2f} mV" in rows


@pytest.mark.parametrize(
    ("r2", "width", "word"),
    [(0.9, 1, "yes"), (0.49, 0, "weakly"), (0.09, 0, "no")]  # by R2, whatever the interval
    + [(None, 0.5, "yes"), (None, 0.65, "weakly"), (None, 0.86, "no"), (None, 1.0, "no")],
)
def test_what_a_stimulus_constrains(r2, width, word):
    assert judgement.constraint(value(lo90=0.0, hi90=10 * width), r2) == word


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.97])
def test_an_interval_stands_for_the_r2_of_a_truth_that_lies_anywhere_in_it(share):
    """Of a truth drawn evenly from a share of the range, guessed in the middle: MSE against that of the whole range."""
    truth = np.random.default_rng(1).uniform(-share, share, 200_000)
    r2 = 1 - 3 * np.mean(truth**2)
    wide = value(lo90=0.0, hi90=10 * 0.9 * share)
    assert judgement.constraint(wide, None) == judgement.constraint(wide, float(r2))


def test_the_evaluation_of_the_ensemble_decides_where_there_is_one():
    held = fit()
    told = {**held.provenance, "evaluation": {"traces": 20000, "r2": {"gna": 0.031}}}
    words = " ".join(" ".join(Seen(page.fit_page(shown(replace(held, provenance=told)))).text).split())
    assert "no R2 0.03; interval 45 %" in words and "over 20,000 simulated cells" in words


def test_loud_signals_are_named():
    signals = {"the networks disagree": 2.25, "the answers lie far out": 0.1}
    words = Seen(judgement.alarm(fit(score=2.25, alarm={"threshold": 1.5, "signals": signals}))).words
    assert "The alarm speaks: 1 of its signals is loud. Score 2.25, alarm from 1.50." in words
    assert [words.count(state) for state in ("2.25loud", "0.10quiet")] == [1, 1]


def test_without_a_threshold_no_signal_is_loud():
    held = {"threshold": None, "signals": {"the networks disagree": 2.25}}
    words = Seen(judgement.alarm(fit(alarm=held))).words
    assert "too few traces to have a threshold" in words and "2.25quiet" in words


def test_a_fit_without_signals_is_shown_all_the_same():
    assert "fit again to see them" in Seen(page.fit_page(shown(fit(alarm={})))).words


@given(st.floats(0, 10), st.floats(0, 10))
def test_a_value_stands_in_its_bar_at_its_share_of_the_range(at, truth):
    held = bars.range_bar(value(value=at, truth=truth))
    place = float(re.search(r'<circle cx="([\d.]+)"', held)[1])
    wanted = bars.EDGE + at / 10 * (bars.WIDTH - 2 * bars.EDGE)
    assert place == pytest.approx(wanted, abs=0.006)


def test_a_log_range_is_drawn_by_decades():
    held = bars.range_bar(value(value=1.0, low=0.01, high=100.0, scale="log"))
    assert float(re.search(r'<circle cx="([\d.]+)"', held)[1]) == bars.WIDTH / 2


def test_files_decode_to_the_same_bytes(seen):
    files = shown().files
    links = {a["download"]: base64.b64decode(a["href"].split(",")[1]) for a in seen.all("a") if "download" in a}
    assert links["fit.hoc"] == files["fit.hoc"] and links["na.mod"] == files["mod/na.mod"]
    with zipfile.ZipFile(io.BytesIO(links["mine_fitted_to_a_npz.zip"])) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == files
    assert "expected.txt" not in links  # large: in the zip alone
    assert "120 kB" in seen.words


def test_a_page_stays_below_five_megabytes_whatever_there_is():
    noise = np.random.default_rng(1)
    files = {f"stimulus{k}.txt": noise.bytes(1_500_000) for k in range(5)} | {"fit.hoc": b"// fit\n"}
    files |= {f"mod/c{k}.mod": noise.bytes(30_000) for k in range(60)}
    volts = -60 + 20 * noise.standard_normal((1, 6, 200_000))
    held = Recording(volts, np.zeros((6, 200_000)), DT, "long.npz")
    text = page.fit_page(shown(recording=held, simulated=volts[..., ::-1], files=files))
    assert len(text.encode()) < 5_000_000
    words = Seen(text).words
    assert "too large for this page" in words and "2 more stimuli are in recording.npz" in words
    packed = next(a for a in Seen(text).all("a") if a.get("download", "").endswith(".zip"))
    assert "fit.hoc" in zipfile.ZipFile(io.BytesIO(base64.b64decode(packed["href"].split(",")[1]))).namelist()


def test_the_same_fit_gives_the_same_page(text):
    assert page.fit_page(shown()) == text


def test_several_probes_and_stimuli_have_their_pictures():
    volts = np.tile(VOLTS, (2, 3, 1))
    held = Recording(volts, np.tile(CURRENT, (3, 1)), DT, "a.npz")
    seen = Seen(page.fit_page(shown(recording=held, simulated=volts)))
    assert len([p for p in seen.all("svg") if p["class"] == "plot wide"]) == 3
    assert "Stimulus 3 of 3" in seen.words and "the first probe (probe 1) under the first stimulus" in seen.words


def test_traces_without_spikes_are_shown():
    words = Seen(page.fit_page(shown(simulated=np.full((1, 1, len(TIME)), -65.0)))).words
    crossing = 40 - 0.6 * np.sqrt(2 * np.log(110 / 50))  # of -20 mV by a bell of 110 mV on -70
    assert f"First spike, at {crossing:.1f} ms in the recording, laid" in words
    flat = Recording(np.full(len(TIME), -70.0), CURRENT, DT, "a.npz")
    assert "Neither trace has a spike." in Seen(page.fit_page(shown(recording=flat, simulated=flat.volts))).words


@given(arrays(float, st.integers(1, 400), elements=st.floats(-100, 60)), st.integers(1, 60))
def test_a_thinned_trace_keeps_its_extremes_in_their_places(trace, columns):
    time, kept = panels.thinned(np.arange(len(trace)), trace, columns)
    assert (trace[time] == kept).all() and (np.diff(time) >= 0).all()
    assert (kept.max(), kept.min()) == (trace.max(), trace.min())
    assert len(kept) <= max(2 * columns, len(trace) if len(trace) <= 2 * columns else 0)


def test_what_a_cell_cannot_do_without_comes_first_into_the_zip():
    files = {
        "expected.txt": np.random.default_rng(1).bytes(200_000),
        "fit.hoc": b"// fit\n",
        "mod/na.mod": b"NEURON {}",
    }
    listed = downloads.links(files, "x", 200_000)
    assert "too large for this page" in Seen(listed).words
    packed = base64.b64decode(re.search(r'zip;base64,([^"]+)', listed)[1])
    assert zipfile.ZipFile(io.BytesIO(packed)).namelist() == ["fit.hoc", "mod/na.mod"]
