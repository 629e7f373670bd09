"""The command `python -m reproduce`."""

import sys

from absl import flags

from hop import cli


def main(argv: list[str] | None = None) -> int:
    """Makes the tables that are asked for; returns the exit code, as the `hop` command does."""
    return cli.guarded(lambda: _make(sys.argv[1:] if argv is None else argv))


def _make(argv: list[str]) -> None:
    def define(values: flags.FlagValues) -> None:
        for name, default, text in (
            ("only", None, "the tables to make, as in --only=5,8; default: all"),
            ("workdir", "runs/tables", "where runs are kept: what is there is not trained again"),
            ("output", "", "where pages go; default: docs/results in the repository, else "
             "hop-tables, and their folder quick with --quick"),
        ):  # fmt: skip
            flags.DEFINE_string(name, default, text, flag_values=values)
        for name, text in (
            ("quick", "one seed and small budgets: all tables in a quarter of an hour"),
            ("report", "train nothing: make the pages again from what is there"),
        ):
            flags.DEFINE_bool(name, False, text, flag_values=values)

    values, _ = cli.parse("python -m reproduce", argv, define)
    from reproduce import making

    making.make(**{k: values[k] for k in ("only", "quick", "workdir", "output", "report")})


if __name__ == "__main__":
    cli.process(main)
