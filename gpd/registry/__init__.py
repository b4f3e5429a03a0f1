"""The registry: every checkpoint, where it came from, how good it is.

from gpd.registry import best, lineage, open_registry

with open_registry() as session:
    found = best(session=session, steps=6, metric="trajectory_error")
    chain = lineage(session=session, key=found.winners[0].content)
"""

from gpd.registry.best import best
from gpd.registry.engine import make_engine, must_exist, open_registry, reading, registry_url, shown, writing
from gpd.registry.exchange import export_lines, import_lines, write_lines
from gpd.registry.finding import current_aliases, find_artifact
from gpd.registry.lineage import lineage
from gpd.registry.page import render_page
from gpd.registry.people import promote, remark, withdraw
from gpd.registry.printing import print_answer
from gpd.registry.questions import compare, find_checkpoint, history, list_checkpoints, scores, show
from gpd.registry.schema import create_or_check, upgrade
from gpd.registry.sync import sync
from gpd.registry.verify import verify

__all__ = [
    "best",
    "compare",
    "create_or_check",
    "current_aliases",
    "export_lines",
    "find_artifact",
    "find_checkpoint",
    "history",
    "import_lines",
    "lineage",
    "list_checkpoints",
    "make_engine",
    "must_exist",
    "open_registry",
    "print_answer",
    "promote",
    "reading",
    "registry_url",
    "remark",
    "render_page",
    "scores",
    "show",
    "shown",
    "sync",
    "upgrade",
    "verify",
    "withdraw",
    "write_lines",
    "writing",
]
