"""The registry: every checkpoint, where it came from, how good it is.

from gpd.registry import best, find_artifact, lineage, open_registry

with open_registry() as session:
    found = best(session=session, steps=6, metric="trajectory_error")
    chain = lineage(session=session, content=found.winners[0].content)
"""

from gpd.registry.best import Best, Measured, best, find_protocol
from gpd.registry.checkpoints import find_checkpoint
from gpd.registry.describe import Comparison, Listed, Shown, compare, list_checkpoints, scores, show
from gpd.registry.engine import make_engine, must_exist, open_registry, reading, registry_url, shown, writing
from gpd.registry.exchange import export_lines, import_lines
from gpd.registry.finding import FoundCheckpoint, current_aliases, find_artifact, locate
from gpd.registry.lineage import Lineage, lineage
from gpd.registry.page import render_page
from gpd.registry.people import history, promote, remark, resolve, withdraw
from gpd.registry.schema import create_or_check, upgrade
from gpd.registry.sync import SyncResult, sync
from gpd.registry.verify import Verified, verify

__all__ = [
    "Best",
    "Comparison",
    "FoundCheckpoint",
    "Lineage",
    "Listed",
    "Measured",
    "Shown",
    "SyncResult",
    "Verified",
    "best",
    "compare",
    "create_or_check",
    "current_aliases",
    "export_lines",
    "find_artifact",
    "find_checkpoint",
    "find_protocol",
    "history",
    "import_lines",
    "lineage",
    "list_checkpoints",
    "locate",
    "make_engine",
    "must_exist",
    "open_registry",
    "promote",
    "reading",
    "registry_url",
    "remark",
    "render_page",
    "resolve",
    "scores",
    "show",
    "shown",
    "sync",
    "upgrade",
    "verify",
    "withdraw",
    "writing",
]
