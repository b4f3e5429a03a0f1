"""The registry: every checkpoint, where it came from, how good it is.

from gpd.registry import best, lineage, open_registry

with open_registry() as session:
    found = best(session=session, steps=6, metric="trajectory_error")
    chain = lineage(session=session, key=found.winners[0].content)
"""

from gpd.registry.best import best as best
from gpd.registry.exchange import export_lines as export_lines
from gpd.registry.exchange import import_file as import_file
from gpd.registry.finding import current_aliases as current_aliases
from gpd.registry.finding import find_artifact as find_artifact
from gpd.registry.intact import check_rows as check_rows
from gpd.registry.lineage import lineage as lineage
from gpd.registry.page import render_page as render_page
from gpd.registry.people import describe as describe
from gpd.registry.people import promote as promote
from gpd.registry.people import protect as protect
from gpd.registry.people import remark as remark
from gpd.registry.people import tag as tag
from gpd.registry.people import withdraw as withdraw
from gpd.registry.printing import print_answer as print_answer
from gpd.registry.questions import compare as compare
from gpd.registry.questions import find_checkpoint as find_checkpoint
from gpd.registry.questions import history as history
from gpd.registry.questions import list_checkpoints as list_checkpoints
from gpd.registry.questions import scores as scores
from gpd.registry.questions import show as show
from gpd.registry.schema import open_registry as open_registry
from gpd.registry.schema import upgrade as upgrade
from gpd.registry.sync import SyncResult as SyncResult
from gpd.registry.sync import sync as sync
from gpd.registry.verify import verify as verify
