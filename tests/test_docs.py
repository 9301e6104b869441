"""The docs tell what is true: commands, options, links."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from nrn_mlfit.cli import COMMANDS, cli

TOP = Path(__file__).parents[1]
DOCS = [TOP / "README.md", TOP / "CONTRIBUTING.md", TOP / "CHANGELOG.md", *sorted((TOP / "docs").rglob("*.md"))]
CALL = re.compile(r"(?:^|\s|\$ |`)nrn-mlfit ([^`\n#]+)")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def commands(text):
    """The nrn-mlfit commands of code blocks and of code in a line."""
    blocks = re.findall(r"```(?:sh|bash|console)?\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`(nrn-mlfit [^`]+)`", text)
    for piece in [*blocks, *inline]:
        for call in CALL.findall(piece.replace("\\\n", " ")):
            yield shlex.split(call.split("&&")[0].split("|")[0])


def options_of(words):
    """The click command that words name, and the options in them."""
    command = cli.get_command(None, words[0])
    assert command, f"no command {words[0]}"
    if getattr(command, "commands", None) and len(words) > 1 and words[1] in command.commands:
        command = command.commands[words[1]]
    known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"-h", "--help"}
    return known, {w for w in words if re.fullmatch(r"-{1,2}[a-z][\w-]*", w)}


@pytest.mark.parametrize("path", DOCS, ids=lambda p: str(p.relative_to(TOP)))
def test_commands_and_options_exist(path):
    for words in commands(path.read_text()):
        if words[0].startswith("-"):
            assert words[0] in ("-h", "--help", "--version")
            continue
        known, used = options_of(words)
        assert used <= known, (words, used - known)


@pytest.mark.parametrize("path", DOCS, ids=lambda p: str(p.relative_to(TOP)))
def test_links_lead_somewhere(path):
    prose = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(), flags=re.DOTALL)
    for target in LINK.findall(prose):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_explains_itself_with_an_example(name, flag):
    shown = CliRunner().invoke(cli, [name, flag])
    assert shown.exit_code == 0
    assert re.search(rf"Examples?:\n\s+(mpirun .*)?nrn-mlfit {name}", shown.output), shown.output


def test_the_readme_has_the_two_commands_on_its_first_screen():
    first = (TOP / "README.md").read_text().splitlines()[:30]
    assert any(line.startswith("make demo") for line in first) and any(line.startswith("make test") for line in first)


def test_every_stimulus_and_status_is_described():
    from nrn_mlfit.shards import Status
    from nrn_mlfit.stimuli import KINDS

    cells, form = (TOP / "docs" / "cell_files.md").read_text(), (TOP / "docs" / "format.md").read_text()
    assert all(f"`{kind}`" in cells for kind in KINDS)
    assert all(f"`{status.label}`" in form for status in Status)
