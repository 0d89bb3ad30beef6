"""One line into a file that a person wrote, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.cli.toml_edit import with_setting
from core.errors import ConfigError


def test_the_line_goes_below_its_table_and_comments_stay(tmp_path: Path) -> None:
    """The file is a person's: its comments and order are theirs."""
    file = tmp_path / "accord.toml"
    text = '# mine\n[connections.books]\nprovider = "quickbooks" # yes\n\n[connections.books.flows]\nname = "in"\n'
    file.write_text(text)
    with_setting(file, "books", "realm_id", "91")
    assert file.read_text() == text.replace("[connections.books]\n", '[connections.books]\nrealm_id = "91"\n')


@pytest.mark.parametrize(
    "text",
    ["", "connections.books.provider = 1\n", '[connections.books]\nrealm_id = "1"\n', "[connections.books\n"],
)
def test_where_it_cannot_be_done_safely_the_line_is_told(tmp_path: Path, text: str) -> None:
    """A damaged configuration would stop the daemon."""
    file = tmp_path / "accord.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match='realm_id = "91"'):
        with_setting(file, "books", "realm_id", "91")
    assert file.read_text() == text


def test_a_missing_file_is_told_too(tmp_path: Path) -> None:
    """There may be no file at all."""
    with pytest.raises(ConfigError, match='realm_id = "91"'):
        with_setting(tmp_path / "nothing.toml", "books", "realm_id", "91")
