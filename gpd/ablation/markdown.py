"""table.md: the ablation for reading in git."""

from collections.abc import Iterator

from gpd.ablation.curves import crossings
from gpd.ablation.steps import VERDICT_HEAD, head, lines, table_rows, verdicts
from gpd.ablation.tables import CROSSING_HEAD, HEAD, cells, groups, label_of, words
from gpd.documents import AblationResults


def make_markdown(results: AblationResults) -> str:
    """Families over steps, one table a group, floors first; then where curves cross the floors."""
    return "\n".join(["# Ablation on the miniature\n", words(results), *_tables(results)])


def _tables(results: AblationResults) -> Iterator[str]:
    if found := lines(results):
        yield make_table(head(found), 2, table_rows(found))
    if compared := verdicts(results):
        yield make_table(VERDICT_HEAD, len(VERDICT_HEAD), [one.cells() for one in compared])
    for title, some in groups(results).items():
        yield make_table([title, *HEAD], 1, [[label_of(row), *cells(row)] for row in some])
    if crossed := crossings(results):
        yield make_table(CROSSING_HEAD, 2, crossed)


def make_table(columns: list[str], num_words: int, rows: list[list[str]]) -> str:
    """The first `num_words` columns are words, the others figures."""
    rule = ["---"] * num_words + ["---:"] * (len(columns) - num_words)
    return "".join(f"| {' | '.join(line)} |\n" for line in [columns, rule, *rows])
