"""The command `python -m reproduce`."""

import sys

from hop import cli


def main(argv: list[str] | None = None) -> int:
    """Makes the tables that are asked for; returns the exit code, as the `hop` command does."""
    return cli.guarded(lambda: _make(sys.argv[1:] if argv is None else argv))


def _make(argv: list[str]) -> None:
    values, _ = cli.parse(
        "python -m reproduce",
        argv,
        cli.text("only", "the tables to make, as in --only=5,8; default: all", None),
        cli.text("workdir", "where runs are kept: what is there is not trained again",
                 "runs/tables"),
        cli.text("output", "where pages go; default: docs/results in the repository, else "
                 "hop-tables, and their folder quick with --quick"),
        cli.switch("quick", "one seed and small budgets: all tables in a quarter of an hour"),
        cli.switch("report", "train nothing: make the pages again from what is there"),
    )  # fmt: skip
    from reproduce import making

    making.make(**cli.some(values, "only quick workdir output report"))


if __name__ == "__main__":
    cli.process(main)
