"""Table 4: Helmholtz in 20 dimensions."""

from reproduce import Table, declared, parts, runs

PLACES = (0.5, 0.05, 0.02)
RUNS = declared("table_4")
TABLE = Table(RUNS, parts.beside_the_paper("table_4", PLACES), draw=runs.picture_of("tanh"))
