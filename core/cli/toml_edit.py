"""One setting into accord.toml, below its table's heading, and nothing else of the file touched."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Final

from core.cli.drafts import put, redrafted
from core.errors import ConfigError

_MARK: Final = "\ufeff"


def with_setting(file: Path, connection: str, setting: str, value: str) -> None:
    """Write `setting = "value"` into [connections.<connection>]. Raises ConfigError that says what to write by hand."""
    line = f"{setting} = {json.dumps(value)}"
    key = f"connections.{connection}"
    by_hand = ConfigError(f"add this line yourself: {line}", file=str(file), key=key)
    try:
        content = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise by_hand from error
    text = content.removeprefix(_MARK)
    heading = rf"""^[ \t]*\[\s*connections\s*\.\s*(["']?){re.escape(connection)}\1\s*\][^\n]*\n?"""
    places = list(re.finditer(heading, text, re.MULTILINE))
    if len(places) != 1:
        raise by_hand
    ends = "\r\n" if "\r\n" in text else "\n"
    before, after = text[: places[0].end()], text[places[0].end() :]
    changed = before + ("" if before.endswith("\n") else ends) + line + ends + after
    try:
        if tomllib.loads(changed)["connections"][connection][setting] != value:
            raise by_hand
        with redrafted(file) as draft:
            draft.write_bytes((content[: len(content) - len(text)] + changed).encode())
            put(draft, file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise by_hand from error
