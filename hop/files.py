"""Small files, written whole or not at all; tables in Markdown."""

import os
from collections.abc import Sequence
from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Replaces a file by new content at once: a reader sees the old file or the new one."""
    partial = path.with_name(f".{path.name}.tmp")
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(partial, path)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
