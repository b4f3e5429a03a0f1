from gpd.distillation.ledger import Ledger
from gpd.distillation.publication import summary
from gpd.documents import Probed


def test_the_line_that_a_stage_leaves() -> None:
    ledger = Ledger(samples_seen=1200, forwards={"teacher": 1000, "student": 234})
    ledger.before, ledger.after = (
        Probed(residual=0.5, rollout_distance=0.25),
        Probed(residual=0.125, rollout_distance=0.1),
    )
    assert summary("k8", ledger, 12.4) == (
        "distill k8: residual 0.5000 -> 0.1250, distance to the true roll-out 0.250 -> 0.100, "
        "1,200 samples, 1,234 forwards, 12 s"
    )
