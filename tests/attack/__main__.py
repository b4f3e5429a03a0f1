"""`python -m tests.attack CAMPAIGN`: what docs/robustness.md promises of crashes, faults and hostile input, tried."""

import argparse
import importlib
import os
import tempfile
from pathlib import Path

from tests.attack import edge
from tests.attack.campaign import KEPT, Campaign

CAMPAIGNS = ("kills", "faults", "signals", "fuzz", "load", "flips")
NEED_EDGE = ("kills", "faults")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("campaign", choices=CAMPAIGNS)
    parser.add_argument("--minutes", type=float, default=10.0, help="no case begins later")
    parser.add_argument("--seed", type=int, default=0, help="of the order of cases, and of what is drawn")
    parser.add_argument("--only", default="", help="a part of the cases' names, such as distill, there or TWO")
    parser.add_argument("--but", default="", help="a part of the names of cases to leave for later, such as ablate")
    parser.add_argument("--of", type=Path, default=Path(), help="flips: a workspace whose pipeline is finished")
    given = parser.parse_args()
    if given.campaign in NEED_EDGE:
        edge.preload(KEPT)
    os.environ["HF_HUB_OFFLINE"] = "1"
    campaign = Campaign(given.campaign, given.minutes, given.seed, given.only, given.but, given.of)
    module = importlib.import_module(f"tests.attack.{given.campaign}")
    with tempfile.TemporaryDirectory(prefix="gpd-attack-") as folder:
        told = module.run(campaign, Path(folder))
    return campaign.finish(told)


if __name__ == "__main__":
    raise SystemExit(main())
