"""What strategies walk and weigh."""

from hop import config as config_lib
from hop.homotopy.path import Path
from hop.homotopy.predictors import EulerStep
from hop.homotopy.terms.condition import Condition
from hop.homotopy.terms.initial import Initial
from hop.homotopy.terms.pinned import Pinned
from hop.homotopy.terms.residual import Residual
from hop.homotopy.terms.slow import Slow
from hop.homotopy.terms.tangent import Tangent
from hop.problem import Lam
from hop.samplers.by_residual import ByResidual
from hop.samplers.uniform import Uniform
from hop.strategies import Plan
from hop.strategies.curriculum import Curriculum


def test_what_every_strategy_walks_and_weighs():
    """As its paper has it: the places of a run, the terms of its loss, and its predictor."""
    path = Path(tuple(Lam(s, max(s, 0.1)) for s in (0.5, 0.2, 0.0)))
    places = {
        name: config_lib.find("strategy", name)().path(path).places
        for name in ("classical", "curriculum", "homotopy_loss", "predictor_corrector", "euler",
                     "resampling", "sequence_to_sequence")
    }  # fmt: skip
    alone = path.places[-1:]
    assert places == {
        "classical": alone,
        "resampling": alone,
        "sequence_to_sequence": alone * 10,
        "curriculum": (Lam(0.0, 0.5), Lam(0.0, 0.2), Lam(0.0, 0.1)),
        **dict.fromkeys(("homotopy_loss", "predictor_corrector", "euler"), path.places),
    }

    def plan(name, **options):
        return config_lib.find("strategy", name)(**options).plan()

    for name in places:
        terms = plan(name, condition=7.0).terms
        assert [term for term in terms if isinstance(term, Condition)] == [Condition(7.0)]
    euler, corrector = plan("euler", rtol=0.1), plan("predictor_corrector", rtol=0.2, pin=0.3)
    assert (euler.predictor, euler.corrects) == (EulerStep(0.1, guarded=False), False)
    assert (corrector.predictor, corrector.corrects) == (EulerStep(0.2, guarded=True), True)
    assert plan("predictor_corrector", rtol=0.0).predictor is None
    paper = plan("homotopy_loss", residual=2.0, tangent=3.0, tangent_share=0.4, slow=5.0, pin=0.3)
    terms = (Residual(2.0), Tangent(3.0, 0.4), Slow(5.0), Pinned(), Condition(1.0))
    assert paper == Plan(terms, pin=0.3)
    assert corrector.pin == 0.3
    by_residual = config_lib.find("strategy", "resampling")(pool=3, power=2.0, floor=0.5)
    assert by_residual.sampler(Uniform()) == ByResidual(Uniform(), 3, 2.0, 0.5)
    for name in set(places) - {"resampling"}:
        assert config_lib.find("strategy", name)().sampler(Uniform()) == Uniform()
    assert Initial(4.0) in plan("sequence_to_sequence", initial=4.0).terms
    for name in set(places) - {"homotopy_loss"}:
        assert not any(isinstance(term, Tangent) for term in plan(name).terms)


def test_a_curriculum_lowers_eps_at_the_last_s_alone():
    path = Path(tuple(Lam(s, max(s, 0.1)) for s in (1.0, 0.5, 0.1, 0.05, 0.0)))
    assert Curriculum().path(path).places == (Lam(0.0, 1.0), Lam(0.0, 0.5), Lam(0.0, 0.1))
    assert not any(isinstance(term, Tangent) for term in Curriculum().plan().terms)
