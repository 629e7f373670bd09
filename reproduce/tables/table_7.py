"""Table 7: the fit of sin(πx/ε)."""

import functools

from reproduce import Table, declared, parts, runs

PLACES = (1 / 15, 1 / 35, 1 / 50, 1 / 100, 1 / 200)
LOSSES = functools.partial(parts.loss_and_error, worst_of="loss")
RUNS = declared("table_7")
TABLE = Table(RUNS, parts.beside_the_paper("table_7", PLACES, LOSSES), draw=runs.picture_of("tanh"))
