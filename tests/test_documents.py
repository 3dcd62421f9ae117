"""The documentation cannot lie: its examples run, its commands exist, its links lead somewhere."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    page
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if not {"_build", "generated"} & set(page.relative_to(ROOT).parts)
]
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The blocks of code on a page, each with the number of the line before its first."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start(3)), textwrap.dedent(found[3]))
        for found in BLOCK.finditer(text)
        if found[2] == language
    ]


def commands() -> list[tuple[str, list[str]]]:
    """Every command that a page tells its reader to type, by page."""
    found = []
    for page in PAGES:
        for _, block in blocks(page, "console"):
            typed = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
            found += [(page.name, shlex.split(line, comments=True)) for line in typed]
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_every_example_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    for line, block in blocks(page, "python"):
        exec(compile("\n" * line + block, str(page), "exec"), names)  # noqa: S102 (our own pages)


def test_the_pages_have_commands_to_check() -> None:
    programs = {Path(word).name for _, words in commands() for word in words}
    assert {"make", "thalweg"} <= programs


def test_every_make_command_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    typed = {
        (page, word)
        for page, words in commands()
        if "make" in words
        for word in words[words.index("make") + 1 :]
        if "=" not in word
    }
    assert {(page, word) for page, word in typed if word not in targets} == set()


@pytest.mark.parametrize(
    ("page", "words"),
    [(page, words) for page, words in commands() if any(Path(word).name == "thalweg" for word in words)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_every_thalweg_command_exists(page: str, words: list[str]) -> None:
    from thalweg.cli.app import app

    name, *arguments = words[[Path(word).name for word in words].index("thalweg") + 1 :]
    result = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 0, f"{page}: {result.output}"
    options = {word.partition("=")[0] for word in arguments if word.startswith("--")}
    known = {option for parameter in get_command(app).commands[name].params for option in parameter.opts}
    assert options <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8")))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not missing


def test_the_readmes_speed_table_is_the_records() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    named = re.search(r"benchmarks/records/[\w.-]+\.json", readme)
    assert named is not None
    record = json.loads((ROOT / named[0]).read_text("utf-8"))
    for figure in record["figures"]:
        value = f"{figure['value']:.3g} {figure['unit']}"
        assert f"| {figure['name']} | {value} | {figure['low']:.3g} to {figure['high']:.3g} |" in readme
    assert record["machine"] in readme
