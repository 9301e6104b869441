"""Pictures: whole files, and drawings that say what is so."""

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from nrn_mlfit import cells, report
from nrn_mlfit.errors import MlfitError
from nrn_mlfit.report import cell as cell_page
from nrn_mlfit.report import fit as fit_page
from nrn_mlfit.report import geometry
from nrn_mlfit.report.style import VERMILION, number
from nrn_mlfit.simulator.session import Session

TIME = np.arange(500) * 0.1
VOLTS = np.where(TIME % 10 < 0.5, 30.0, -70.0)[None, None]
CURRENT = np.full((1, 500), 0.1)
VALUE = {
    "name": "gna",
    "value": 4.0,
    "low": 0.0,
    "high": 10.0,
    "unit": "pS/um2",
    "spread": 0.5,
    **{"lo68": 3.0, "hi68": 5.0, "lo90": 2.0, "hi90": 6.5},
    "truth": 5.0,
}


def draw(path, simulated=VOLTS, values=(VALUE,), verdict="in range", numbers=None):
    report.fit_picture(path, "a fit", VOLTS, simulated, CURRENT, 0.1, 0.0, list(values), verdict, numbers or {})


def words(path):
    """The texts of an SVG picture, as drawn with text kept as text."""
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        draw(path, verdict="OUT OF RANGE: do not trust", numbers={"warnings": ["gna lies above"], "rms": "3 mV"})
    return path.read_text()


@pytest.mark.parametrize("ending, head", [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_the_file_is_what_its_name_says_and_nothing_else_is_left(tmp_path, ending, head):
    draw(tmp_path / f"fit{ending}")
    assert (tmp_path / f"fit{ending}").read_bytes().startswith(head)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_same_fit_gives_the_same_bytes(tmp_path):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_verdict_and_reasons_are_in_the_warning_colour(tmp_path):
    text = words(tmp_path / "a.svg")
    line = next(line for line in text.splitlines() if "OUT OF RANGE: do not trust; gna lies above" in line)
    assert VERMILION.lower() in line.lower()
    assert "rms 3 mV" in text


@pytest.mark.parametrize("values", [[], [VALUE] * 40, [{**VALUE, "truth": None, "spread": 0.0}]])
@pytest.mark.parametrize("simulated", [None, VOLTS, np.full_like(VOLTS, np.nan)])
def test_any_number_of_values_and_missing_parts_can_be_drawn(tmp_path, simulated, values):
    draw(tmp_path / "a.png", simulated, values)
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_several_probes_and_stimuli_have_an_overlay_each():
    figure = Figure()
    volts = np.zeros((2, 3, 500))
    axes = fit_page._traces(figure, volts, volts, np.zeros((3, 500)), TIME)
    fit_page._label(axes, volts.shape, True, "nA", ("soma", "apical"))
    assert len(figure.axes) == (2 + 1 + 1) * 3
    assert [row[0].get_ylabel() for row in axes] == [
        *("soma (mV)", "apical (mV)", "difference,\nsoma (mV)", "stimulus (nA)")
    ]
    assert [top.get_title(loc="left") for top in axes[0]] == [f"stimulus {s} of 3" for s in (1, 2, 3)]


def test_a_file_name_with_dollars_is_no_formula(tmp_path):
    report.fit_picture(
        tmp_path / "a.png", r"$\bad$ row_1", VOLTS, None, CURRENT, 0.1, 0.0, [{**VALUE, "name": "$x^"}], "in range", {}
    )


def test_a_value_stands_at_its_share_of_the_range():
    ends = [fit_page._place(VALUE, x) for x in (0, 10)]
    assert ends == pytest.approx([fit_page.LOW, fit_page.HIGH])
    assert fit_page._place(VALUE, 5) == pytest.approx(np.mean(ends))


def test_in_a_log_range_a_value_stands_by_its_decades():
    held = {**VALUE, "low": 0.01, "high": 100.0, "scale": "log"}
    assert fit_page._place(held, 1.0) == pytest.approx((fit_page.LOW + fit_page.HIGH) / 2)


def test_numbers_have_the_decimals_of_their_spread():
    large = {**VALUE, "value": 32536.4, "lo68": 32522.2, "hi68": 32550.6}
    assert fit_page._words(large) == "32536 (32522 to 32551) pS/um2"
    small = {**VALUE, "value": 0.1869, "lo68": 0.18479, "hi68": 0.18901}
    assert fit_page._words(small) == "0.1869 (0.1848 to 0.1890) pS/um2"
    assert [number(x) for x in (0.0123, 15000, 80000, 2.5e-5, 0)] == ["0.0123", "15000", "80000", "2.5e-05", "0"]


def test_another_format_is_refused(tmp_path):
    with pytest.raises(MlfitError) as error:
        draw(tmp_path / "fit.jpg")
    assert str(error.value) == f"{tmp_path / 'fit.jpg'}: a picture's name ends in .png, .pdf, .svg; choose one of them"


def test_matplotlibs_settings_come_back(tmp_path):
    before = dict(matplotlib.rcParams)
    draw(tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before


@pytest.fixture(scope="module")
def mainen_pieces(h):
    return geometry.pieces(Session(cells.load("mainen")).cell)


def test_the_drawing_has_every_section_at_its_length(mainen_pieces, h):
    kinds = [piece.kind for piece in mainen_pieces]
    assert len(kinds) == 1 + 1 + 2 + 2 + 5 + 5  # soma, apic, dend, hill and iseg, myelin, node
    assert sum(piece.length for piece in mainen_pieces if piece.kind == "dend") == 600
    for piece in mainen_pieces:
        assert np.linalg.norm(piece.points[-1] - piece.points[0]) == pytest.approx(piece.length)


def test_sections_start_where_their_parents_end(mainen_pieces):
    soma, apic, hill, iseg = (next(p for p in mainen_pieces if p.kind == k) for k in ("soma", "apic", "hill", "iseg"))
    assert apic.points[0] == pytest.approx(soma.points[-1])  # on soma(1)
    assert hill.points[0] == pytest.approx(soma.points.mean(axis=0))  # on soma(0.5)
    assert iseg.points[0] == pytest.approx(hill.points[-1])


def test_a_reconstruction_is_drawn_from_its_points(h):
    h("begintemplate Traced\npublic soma\ncreate soma\nendtemplate Traced")
    cell = h.Traced()
    for x, y in ((0, 0), (10, 0), (10, 30)):
        cell.soma.pt3dadd(x, y, 5, 2)
    (piece,) = geometry.pieces(cell)
    assert piece.points.tolist() == [[0, 0], [10, 0], [10, 30]]
    assert (piece.length, piece.diam) == (40, 2)
    geometry.draw(Figure().subplots(), [piece])


def test_the_curation_is_that_of_training():
    scaling = pytest.importorskip("nrn_mlfit.learn.scaling")
    assert cell_page.PUBLISHED_FLOOR == scaling.PUBLISHED_FLOOR
    assert [cell_page.floor_of(np.array(v)) for v in ([-70.0, 10], [-93.2, 10], [np.nan])] == [-80, -94, -80]


def test_a_parameter_value_that_neuron_refuses_is_said_in_its_panel(monkeypatch, h):
    session, axes = Session(cells.load("izhikevich")), Figure().subplots()
    middle = cell_page._run(session, np.zeros(4))
    monkeypatch.setattr(Session, "run", lambda *_: (_ for _ in ()).throw(RuntimeError("hoc_execerror")))
    cell_page._sweep(axes, session, middle, 0)
    assert [text.get_text() for text in axes.texts] == ["NEURON stops at the low", "NEURON stops at the high"]
    assert len(axes.lines) == 1
