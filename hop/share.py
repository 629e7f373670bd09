"""Files that ship with the package: configs, data cards, pretrained models."""

from pathlib import Path


def share(kind: str) -> Path:
    """The folder `configs`, `data` or `pretrained`: in the wheel, or in the repository."""
    here = Path(__file__).resolve().parent
    installed = here / "_share" / kind
    return installed if installed.exists() else here.parent / kind
