"""HOC files as text: what they define and read, and copies whose templates have lists."""

import pytest

from nrn_mlfit import hocfile
from nrn_mlfit.errors import CellError

TEXT = """\
// begintemplate InAComment
/* begintemplate
   begintemplate InAnother */
load_file("parts.hoc")
strdef address
address = "http://begintemplate"  // with a comment behind it
begintemplate Tree
public soma
create soma, dend[2], trunk
objref mine
proc init() { mine = new SectionList()  soma mine.append() }
endtemplate Tree
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "tree.hoc").write_text(TEXT)
    return tmp_path / "tree.hoc"


def test_templates_in_comments_are_none(path):
    assert hocfile.template_in(path) == "Tree"


def test_what_a_file_reads_from_its_folder_and_what_that_reads(path):
    (path.parent / "parts.hoc").write_text('xopen("sub/more.hoc") // "not.hoc"\n')
    (path.parent / "sub").mkdir()
    (path.parent / "sub" / "more.hoc").write_text('load_file("tree.hoc")\nf = "cell.swc"\n')
    (path.parent / "cell.swc").write_text("1 1 0 0 0 1 -1\n")
    (path.parent / "not.hoc").write_text("")
    found = hocfile.files_read(path)
    assert [str(p.relative_to(path.parent)) for p in found] == ["parts.hoc", "sub/more.hoc", "cell.swc"]


@pytest.mark.parametrize("name", ["../swc/cell.swc", "{outside}/cell.swc", "{inside}/cell.swc"])
def test_a_file_that_would_not_go_along_is_refused(tmp_path, name):
    """One outside of the folder, and one inside that is called by its full path."""
    for folder in ("swc", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cell.swc").write_text("1 1 0 0 0 1 -1\n")
    name = name.format(outside=tmp_path / "swc", inside=tmp_path / "mine")
    path = tmp_path / "mine" / "tree.hoc"
    path.write_text(TEXT.replace("parts.hoc", name))
    with pytest.raises(CellError) as error:
        hocfile.files_read(path)
    assert str(error.value) == (
        f'{path}: names the file "{name}", which a copy of its folder would not have; put it beside tree.hoc and write '
        '"cell.swc" there'
    )


def test_what_is_no_file_is_not_one(path):
    path.write_text(TEXT.replace("http", f"../{'x' * 5000}").replace("parts.hoc", str(path.parent)))
    assert hocfile.files_read(path) == []


def test_a_file_is_sought_beside_the_one_that_reads_it_too(path):
    (path.parent / "sub").mkdir()
    (path.parent / "parts.hoc").write_text('xopen("sub/more.hoc")\n')
    (path.parent / "sub" / "more.hoc").write_text('f = "../cell.swc" g = "near.swc"\n')
    for name in ("cell.swc", "sub/near.swc"):
        (path.parent / name).write_text("")
    found = hocfile.files_read(path)
    assert [str(p.relative_to(path.parent)) for p in found] == ["parts.hoc", "sub/more.hoc", "cell.swc", "sub/near.swc"]


def test_what_is_hidden_is_made_public():
    assert hocfile.hidden_lists(TEXT, "Tree") == ["mine"]
    lines = hocfile.made_public(TEXT, "Tree", ["mine"]).splitlines()
    at = lines.index("begintemplate Tree")
    assert (
        lines[at + 2] == "public mine"
        and [x for x in lines if "Added" not in x and x != "public mine"] == TEXT.splitlines()
    )


def test_what_is_only_in_a_comment_or_local_is_not_hidden():
    text = TEXT.replace(
        "proc init() {",
        "// old = new SectionList()\nproc init() { localobj other, tmp\n  tmp = new SectionList() /* x */ ",
    )
    assert hocfile.hidden_lists(text, "Tree") == ["mine"]


def test_a_section_called_as_our_counter_would_be():
    text = TEXT.replace("create soma, dend[2], trunk", "create soma, i[2]")
    added = hocfile.with_lists(text, "Tree", ["soma", "i[0]", "i[1]"], ["i[0]", "i[1]"]).partition("proc init()")[2]
    assert "local i_sections\n" in added
    assert "    for i_sections = 0, 1 i[i_sections] { all.append() i_list.append() }\n" in added


def test_lists_are_filled_after_what_init_did():
    text = hocfile.with_lists(TEXT, "Tree", ["soma", "dend[1]", "dend[0]", "trunk"], ["dend[0]", "dend[1]", "trunk"])
    assert "proc built_before_lists() { mine" in text and text.count("proc init()") == 1
    body = text.partition("proc init()")[2].partition("endtemplate")[0].split("\n")
    assert [line.strip() for line in body[1:-3]] == [
        "built_before_lists()",
        "all = new SectionList()",
        "dendritic = new SectionList()",
        "trunk_list = new SectionList()",
        "soma { all.append() }",
        "for i = 0, 1 dend[i] { all.append() dendritic.append() }",
        "trunk { all.append() trunk_list.append() }",
    ]


def test_a_list_of_ours_has_only_sections_that_lack_one():
    text = hocfile.with_lists(TEXT, "Tree", ["soma", "dend[0]", "dend[1]"], ["soma", "dend[1]"])
    body = text.partition("proc init()")[2].partition("endtemplate")[0].split("\n")
    assert [line.strip() for line in body[2:-3]] == [
        "all = new SectionList()",
        "somatic = new SectionList()",
        "dendritic = new SectionList()",
        "soma { all.append() somatic.append() }",
        "for i = 0, 1 dend[i] { all.append() }",
        "dend[1] { dendritic.append() }",
    ]


def test_a_name_that_is_taken_is_not_taken_again():
    taken = TEXT.replace("objref mine", "objref mine, all")
    assert "objref all_sections, somatic\n" in hocfile.with_lists(taken, "Tree", ["soma"], ["soma"])


def test_the_region_of_dendrites_hangs_on_whether_there_is_an_apical_one():
    basal = hocfile.with_lists(TEXT, "Tree", ["soma", "dend[0]", "apic"], ["soma", "dend[0]", "apic"])
    assert "public all, somatic, basal, apical\n" in basal


def test_a_template_without_an_end():
    with pytest.raises(CellError) as error:
        hocfile.made_public(TEXT.replace("endtemplate", "endproc"), "Tree", ["mine"])
    assert str(error.value) == "template Tree: has no `endtemplate Tree` on a line of its own; write it there"
