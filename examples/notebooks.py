"""Makes the notebooks of the examples from their scripts, and runs them: `make notebooks`."""

from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def convert(script: Path) -> nbformat.NotebookNode:
    """The cells of a script, which `# %%` divides."""
    notebook = jupytext.read(script)
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # the same in every run, for small differences
    return notebook


def main() -> None:
    for script in sorted(HERE.glob("*.py")):
        if script.read_text().startswith("# %%"):
            notebook = convert(script)
            where = {"metadata": {"path": str(HERE.parent)}}
            client = NotebookClient(
                notebook, resources=where, record_timing=False, coalesce_streams=True
            )
            client.execute()
            nbformat.write(notebook, script.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
