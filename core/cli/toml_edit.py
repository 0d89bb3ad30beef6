"""One setting into accord.toml, below its table's heading, and nothing else of the file touched."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from core.errors import ConfigError


def with_setting(file: Path, connection: str, setting: str, value: str) -> None:
    """Write `setting = "value"` into [connections.<connection>]. Raises ConfigError that says what to write by hand."""
    line = f"{setting} = {json.dumps(value)}"
    key = f"connections.{connection}"
    by_hand = ConfigError(f"add this line yourself: {line}", file=str(file), key=key)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise by_hand from error
    heading = rf"""^[ \t]*\[\s*connections\s*\.\s*(["']?){re.escape(connection)}\1\s*\][^\n]*$"""
    places = list(re.finditer(heading, text, re.MULTILINE))
    if len(places) != 1:
        raise by_hand
    end = places[0].end()
    changed = f"{text[:end]}\n{line}{text[end:]}"
    try:
        if tomllib.loads(changed)["connections"][connection][setting] != value:
            raise by_hand
        draft = file.with_name(f".{file.name}.draft")
        draft.write_text(changed, encoding="utf-8")
        draft.chmod(file.stat().st_mode)
        draft.replace(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise by_hand from error
