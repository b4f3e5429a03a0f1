"""The registry, brought up to date with the files of this clone and of its runs."""

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from flows.checkpoints import registry_url
from flows.pipeline import guarded, start, sync_registry
from flows.shown import shown_url
from flows.tree import all_trees


@flow(name="sync", flow_run_name="sync of the registry", persist_result=False)
def sync() -> None:
    """Reads manifests, evaluations and run records of this clone and of all trees of its runs."""
    with guarded() as root:
        trees = all_trees(root)
        get_run_logger().info(f"{len(trees)} trees to read")
        for tree in trees:
            sync_registry(tree)
        lines = [f"* `{tree.folder}`" for tree in trees]
        text = "\n".join([f"Registry `{shown_url(registry_url(root))}`", "", *lines])
        create_markdown_artifact(text, key="sync", description="What was read into the registry")


if __name__ == "__main__":
    start(sync)
