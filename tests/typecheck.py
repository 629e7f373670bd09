"""The checker of annotated types and shapes that conftest installs on the packages."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int serves as a float
