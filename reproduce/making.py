"""Makes tables: trains the runs that are missing, and writes the pages."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

import reproduce
from hop import files
from hop.errors import RunError, UserError
from hop.provenance import credit
from hop.share import share
from reproduce import Table, parts
from reproduce import runs as running


def make(only: str | None, quick: bool, workdir: str, output: str, report: bool) -> None:
    """Makes tables, one after the other; what is done already is not done again.

    Args:
      only: their ids, with commas; all by default.
      quick: at small budgets, onto pages of their own.
      workdir: the folder of runs.
      output: the folder of pages; by default `docs/results` of the repository if that is where
        this runs, else `hop-tables`, and its folder `quick` for quick ones.
      report: train nothing: runs that are not there keep the results that the page has.

    Raises:
      UserError: an unknown table, a folder that cannot be written to, or full pages in the way of
        quick ones or the reverse.
      RunError: a table has nothing to show: no run, and no earlier results.
    """
    names = reproduce.names() if only is None else [name.strip() for name in only.split(",")]
    chosen = {name: reproduce.find(name) for name in names}
    default = Path("docs/results") if Path.cwd() == share("configs").parent else Path("hop-tables")
    folder = Path(output) if output else default / "quick" if quick else default
    for name in chosen:
        if kept(folder, name).get("quick", quick) != quick:
            kind = "full" if quick else "quick"
            raise UserError(
                f"{folder} holds the {kind} results of table {name}; give another --output"
            )
    _claim("output", folder)
    if not report:
        _claim("workdir", Path(workdir))
    how = (quick, Path(workdir), folder, not report)
    if empty := [name for name, table in chosen.items() if not _make(name, table, *how)]:
        why = "none of its runs could be made, as said above"
        if report:
            why = f"no runs found in {workdir}; without --report they are trained"
        raise RunError(f"no page for table {', '.join(empty)}: {why}")


def _claim(flag: str, folder: Path) -> None:
    """Makes a folder, and sees that files can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f"--{flag}={folder} cannot be written to: {error.strerror}; give another folder"
        ) from error


def kept(folder: Path, name: str) -> dict[str, Any]:
    """The results of a table as its JSON file holds them, if there is one."""
    path = folder / f"{reproduce.module_name(name)}.json"
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path} is damaged; restore or remove it") from error


def _make(name: str, table: Table, quick: bool, workdir: Path, folder: Path, train: bool) -> bool:
    """Makes a table's page; False, and no page, if nothing at all is known of its runs."""
    page = folder / f"{reproduce.module_name(name)}.md"
    command = _command(name, quick)
    old = kept(folder, name)
    declared = {
        group: {key: run for key, run in runs.items() if not quick or run.quick is not None}
        for group, runs in table.runs.items()
    }
    # What the page has stays until a run replaces it.
    earlier = {group: old.get("runs", {}).get(group, {}) for group in declared}
    found: dict[str, dict[str, Any]] = {
        group: {key: earlier[group][key] for key in runs if key in earlier[group]}
        for group, runs in declared.items()
    }
    results = {"table": name, "quick": quick, "runs": found}
    results |= {key: old[key] for key in ("measured", "made") if key in old}
    folders: dict[str, Path] = {}
    for group, runs in declared.items():
        for key, run in runs.items():
            config, asked = running.config_of(run, quick), run.command(quick)
            home = running.folder_of(config, workdir)
            print(f"table {name}: {key}: {home}", flush=True)
            try:
                known = running.result(
                    config, home, asked, quick=quick, train=train, command=command
                )
            except (UserError, RunError) as error:  # another process trains it, or it is damaged
                stays = "stays as the page has it" if key in found[group] else "is left out"
                print(f"table {name}: {key} {stays}: {error}", flush=True)
                continue
            if known is None:
                continue
            if known["stages"]:
                folders[key] = home
            every = {**found[group], key: known}
            found[group] = {k: every[k] for k in runs if k in every}
            _write(page, table, results)
    if not any(found.values()):
        return False
    if table.measure is not None and folders:
        try:
            results |= {"measured": table.measure(folders, quick), "made": credit(command)}
        except (UserError, RunError) as error:
            print(f"table {name} could not be measured: {error}")
        except KeyError as missing:  # of `folders`
            print(f"table {name} could not be measured: its run {missing} is not there")
    if table.draw is not None and folders:
        try:
            table.draw(page.with_suffix(".png"), folders)
        except (UserError, RunError, KeyError) as error:
            print(f"table {name} keeps its picture, since a run is not there: {error}")
    _write(page, table, results)
    print(f"written: {page}", flush=True)
    jax.clear_caches()  # runs of one table share most of their programs, and tables hardly any
    return True


def _write(page: Path, table: Table, results: Mapping[str, Any]) -> None:
    files.write(page.with_suffix(".json"), json.dumps(results, indent=1) + "\n")
    files.write(page, render(table, results, page.with_suffix(".png").exists()))


def render(table: Table, results: Mapping[str, Any], picture: bool) -> str:
    """The page of a table's results."""
    name, quick = results["table"], results["quick"]
    module = reproduce.module_name(name)
    title, _, page = (reproduce.TABLES / f"{module}.md").read_text(encoding="utf-8").partition("\n")
    frame = Path(__file__).with_name("frame.md").read_text(encoding="utf-8")
    places = {
        "heading": title + " (quick)" * quick,
        "command": _command(name, quick),
        "quick": "Quick" * quick,
        "picture": f"![{title.removeprefix('# ')}]({module}.png)" * picture,
        "page": parts.fill(page, table.places(results["runs"], results.get("measured"))),
        "made": results.get("made", ""),
    }
    return parts.fill(frame, places) + "\n"


def _command(name: str, quick: bool) -> str:
    return f"python -m reproduce --only={name}" + " --quick" * quick
