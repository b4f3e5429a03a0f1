"""`python -m gpd`, which `torchrun -m gpd` needs."""

from gpd.cli import main

main()
