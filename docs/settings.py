"""Writes docs/config.md, every setting of a config, from docstrings: `python docs/settings.py`."""

import dataclasses
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hop.config import KINDS, schema

PAGE = Path(__file__).parent / "config.md"
GROUPS = {
    "path": schema.PathConfig,
    "train": schema.TrainConfig,
    "ansatz": schema.AnsatzConfig,
    "data": schema.DataConfig,
    "labels": schema.LabelsConfig,
    "mesh": schema.MeshConfig,
}
_ATTRIBUTES = re.compile(r"^Attributes[^:]*:(.*?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)
HEAD = """\
# Settings

Every field of a config with its default. (This page is written by `docs/settings.py`, from the
docstrings.) A config file sets them in its `get_config()`, the command line overrides them:

```python
from hop.config import experiment


def get_config():
    config = experiment(network="deeponet", solver="first_order")  # and problem=, strategy=
    config.path.eps = (0.3, 0.1)
    config.train.update(steps=1000, functions=32)
    return config
```

```text
hop train --config=FILE.py --workdir=W --config.train.steps=500 '--config.path.eps=(0.3,0.1)'
```

A stage ends after `config.train.steps` steps, or sooner by `patience` or `goal`. There is no limit
of time. A run may be stopped at any moment, and the same command resumes from its last checkpoint;
at a SIGTERM it saves one first and exits with 75.

`config.seed`, by default 0, decides on all random numbers. `config.problem`, `config.network`,
`config.strategy` and `config.solver` are each a `name` and the options of what is named. A problem
of your own has no name, and the fields of its class are its options.
"""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, group in GROUPS.items():
        parts += [f"## config.{name}\n", f"{summary(group)}\n", table(group)]
    samplers = schema.modules(schema._SAMPLERS)
    parts += ["## Samplers\n", "The values of `config.train.sampler`:\n"]
    parts.append("".join(f"* `{name}`: {about(schema._SAMPLERS, name)}\n" for name in samplers))
    for kind, package in KINDS.items():
        parts.append(f"## config.{kind}\n")
        for name in schema.modules(package):
            cls = schema._exported(package, name)
            parts += [f"### {name}\n", f"{about(package, name)}\n", table(cls)]
    return "\n".join(part for part in parts if part)


def about(package: str, name: str) -> str:
    """What a module, of one class, says first."""
    return summary(importlib.import_module(f"{package}.{name}"))


def summary(documented: Any) -> str:
    """The first paragraph of a docstring, and the formula that it may end with."""
    first, *rest = (inspect.getdoc(documented) or "").split("\n\n")
    return plain(f"{first} {rest[0]}" if first.endswith(":") else first)


def table(cls: Any) -> str:
    """A row for each field: its name, its default and its meaning; "" without fields."""
    said = dict(meanings(cls))
    rows = []
    for field in dataclasses.fields(cls):
        made = field.default_factory
        default = field.default if made is dataclasses.MISSING else made()
        rows.append(f"| `{field.name}` | `{default!r}` | {said[field.name]} |\n")
    if not rows:
        return ""
    return "| field | default | meaning |\n| --- | --- | --- |\n" + "".join(rows)


def meanings(cls: type) -> Iterator[tuple[str, str]]:
    """What the docstrings of a class and its bases say of each field; its own come last."""
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "")
        for block in _ATTRIBUTES.findall(text):
            first, _, rest = block.strip(" ").partition("\n")
            lines = re.sub(r"\n +", " ", textwrap.dedent(rest))  # what goes on is further in
            for line in [first, *lines.splitlines()]:
                names, _, meaning = line.partition(": ")
                for name in names.split(", "):
                    yield name.strip(), plain(meaning)


def plain(text: str) -> str:
    """One line, as a cell of a table takes it."""
    return " ".join(text.split()).replace("|", r"\|")


if __name__ == "__main__":
    main()
