"""Table 1: Allen–Cahn on an interval, by continuation and by its rivals."""

from reproduce import Table, declared, parts, runs

PLACES = (0.1, 0.03, 0.01, 0.001)
RUNS = declared("table_1")
TABLE = Table(
    RUNS,
    parts.beside_the_paper("table_1", PLACES, parts.loss_and_error),
    draw=runs.picture_of("predictor–corrector"),
)
