"""The list of changes that tests must notice is in step with the code; `make mutations` runs it."""

import mutations


def test_every_mutation_can_be_made_and_names_a_test():
    assert mutations.stale() == []
    assert len(mutations.MUTATIONS) >= 40
