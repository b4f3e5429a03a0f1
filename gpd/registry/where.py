"""`--where`: a condition on checkpoints, as one would write it in SQL or Python.

    steps <= 6 and trajectory_error < .2 or alias = 'champion'

Python's own tokenizer and parser read it; its values are bound, never spliced into SQL. It is asked of every way in
which a checkpoint was sampled and measured, so that steps and metrics in it are of one evaluation. What has no value
is neither equal nor unequal to anything, as in SQL: `psnr is null` finds what was not measured.
"""

import ast
import io
import operator
import re
import tokenize
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Float, and_, case, cast, false, func, literal, not_, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from gpd.artifacts import UserError
from gpd.registry.columns import clean_text
from gpd.registry.documents import comparable
from gpd.registry.finding import current_aliases, current_tags, listed, similar
from gpd.registry.tables import Artifact, Checkpoint, Evaluation, Param, Score

MOST_CHARACTERS = 4000
NUMBER = r"^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$"  # as `comparable` writes one
WORDS = {"=": "==", "AND": "and", "OR": "or", "NOT": "not", "IN": "in", "IS": "is", "NULL": "None"}
ALL_WORDS = WORDS | {"null": "None", "true": "True", "false": "False", "TRUE": "True", "FALSE": "False"}
ORDER = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
MIRRORED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
COLUMNS: dict[str, Any] = {
    "content": Artifact.content,
    "name": Artifact.name,
    "role": Checkpoint.role,
    "stage": Checkpoint.stage,
    "base": Checkpoint.base,
    "repository": Checkpoint.repository,
    "revision": Checkpoint.revision,
    "subject": Evaluation.subject,
    "solver": Evaluation.solver,
    "protocol": Evaluation.protocol,
}
NUMBERS: dict[str, Any] = {
    "steps": func.coalesce(Evaluation.steps, Checkpoint.sampling_steps),
    "sampling_steps": Checkpoint.sampling_steps,
    "horizon": Checkpoint.horizon,
    "grid_steps": Checkpoint.grid_steps,
    "guidance_scale": Evaluation.guidance_scale,
    "iterations": Checkpoint.iterations,
    "samples_seen": Checkpoint.samples_seen,
    "forwards": Checkpoint.forwards,
    "size_bytes": Artifact.size_bytes,
}
Condition = ColumnElement[bool]


@dataclass(frozen=True)
class Where:
    """Conditions over Artifact, Checkpoint and Evaluation, and the metrics that they name."""

    conditions: list[Condition]
    metrics: list[str]


def read_where(where: Mapping[str, str] | Sequence[str], session: Session) -> Where:
    """What has to hold together: texts, or equalities by key; a text `key=value` may leave out the quotes.

    Raises:
        UserError: one is not understood, or a name in it is neither a column nor a metric nor a param.
    """
    reader = _Reader(session)
    texts = [f"{key}={value}" for key, value in where.items()] if isinstance(where, Mapping) else where
    try:
        return Where([_read(text, reader) for text in texts], reader.metrics)
    except RecursionError:
        raise UserError("--where: nested too deep") from None


def _read(text: str, reader: "_Reader") -> Condition:
    if pair := re.fullmatch(r"([\w.]+)=([^\s'\"()=]+)", text):
        return reader.ask(pair[1], ast.Eq, _number(pair[2]))
    return reader.read(_parse(text))


def _number(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word


def _parse(text: str) -> ast.expr:
    if len(text) > MOST_CHARACTERS:
        raise UserError(f"--where: {len(text)} characters, at most {MOST_CHARACTERS}")
    try:
        tokens = [token[:2] for token in tokenize.generate_tokens(io.StringIO(clean_text(text.strip())).readline)]
        if any(one[0] == two[0] == tokenize.STRING for one, two in pairwise(tokens)):
            raise SyntaxError("two texts beside each other; put one that has a quote in it into the other quotes")
        source = tokenize.untokenize((kind, ALL_WORDS.get(word, word)) for kind, word in tokens)
        return ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, tokenize.TokenError, ValueError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", None) or error.args[0]
        raise UserError(f"--where {text!r:.100}: not understood ({reason})") from None


def _name(node: ast.AST) -> str | None:
    """trajectory_error, guidance.start, or params['odd key']."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (inner := _name(node.value)):
        return f"{inner}.{node.attr}"
    if isinstance(node, ast.Subscript) and _name(node.value) == "params" and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return None


@dataclass(frozen=True)
class _Reader:
    """From the parts of conditions to SQL."""

    session: Session
    metrics: list[str] = field(default_factory=list)  # met so far

    def read(self, node: ast.expr) -> Condition:
        """AND, OR, NOT and comparisons, to any depth."""
        if isinstance(node, ast.BoolOp):
            join: Callable[..., Condition] = and_ if isinstance(node.op, ast.And) else or_
            return join(*map(self.read, node.values))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return not_(self.read(node.operand))
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            return and_(*map(self.compare, sides, node.ops, sides[1:]))
        raise _mistake(node, "compare a column, metric or param with a value")

    def compare(self, left: ast.expr, sign: ast.cmpop, right: ast.expr) -> Condition:
        """One comparison, in whatever order it was written."""
        if name := _name(left):
            return self.ask(name, type(sign), self.value(right))
        if (name := _name(right)) and not isinstance(sign, ast.In | ast.NotIn):
            return self.ask(name, MIRRORED.get(type(sign), type(sign)), self.value(left))
        raise _mistake(left, "compare a column, metric or param with a value")

    def value(self, node: ast.expr) -> Any:
        """A number, text, true, false, null, or a list of such; text stands in quotes."""
        try:
            found = ast.literal_eval(node)
        except (ValueError, TypeError):
            raise _mistake(node, "a value is a number or a text in quotes") from None
        for one in found if isinstance(found, list | tuple) else [found]:
            if not isinstance(one, str | int | float | None):
                raise _mistake(node, "a value is a number or a text in quotes")
        return found

    def ask(self, name: str, sign: type[ast.cmpop], value: Any) -> Condition:
        """`in` is several times `=`, and what is negated is the opposite of that."""
        term = self.term(name)
        if sign in (ast.NotEq, ast.NotIn, ast.IsNot):
            opposite = {ast.NotEq: ast.Eq, ast.NotIn: ast.In, ast.IsNot: ast.Is}[sign]
            return not_(self.ask(name, opposite, value))
        if sign is ast.In:
            return or_(false(), *(term.equals(one) for one in (value if isinstance(value, list | tuple) else [value])))
        if isinstance(value, list | tuple):
            raise UserError(f"--where {name}: a list goes with in")
        return term.equals(value) if sign in (ast.Eq, ast.Is) else term.compares(ORDER[sign], value)

    def term(self, name: str) -> "_Term":
        """What a name stands for: a column first, then a metric, then a param."""
        if name == "alias":
            return _Marks(name, {one: {owner} for one, owner in current_aliases(session=self.session).items()})
        if name == "tag":
            return _Marks(name, current_tags(session=self.session))
        if name in NUMBERS:
            return _Number(name, NUMBERS[name])
        if name in COLUMNS:
            return _Text(name, COLUMNS[name])
        if name in (metrics := _metrics(self.session)):
            self.metrics.append(name)
            score = aliased(Score)
            found = select(score.value).where(score.evaluation == Evaluation.id, score.metric == name)
            return _Number(name, found.correlate(Evaluation).scalar_subquery())
        if self.session.exec(select(Param.key).where(Param.key == name).limit(1)).first():
            setting = select(Param.value).where(Param.content == Artifact.content, Param.key == name)
            return _Setting(name, setting.correlate(Artifact).scalar_subquery())
        keys = self.session.exec(select(Param.key).distinct().order_by(Param.key).limit(1000)).all()
        columns = ["alias", "tag", *COLUMNS, *NUMBERS]
        there = {"columns": columns, "metrics": metrics, "params": keys}
        known = "; ".join(f"{kind}: {listed(list(names), 30) or 'none'}" for kind, names in there.items())
        raise UserError(f"--where {name}: no such name{similar(name, [*columns, *metrics, *keys])}; {known}")


def _mistake(node: ast.expr, advice: str) -> UserError:
    return UserError(f"--where: {ast.unparse(node)!r:.60} is not understood; {advice}")


def _metrics(session: Session) -> list[str]:
    return sorted(session.exec(select(Score.metric).distinct()))


@dataclass(frozen=True)
class _Term:
    """What a name stands for."""

    name: str
    column: Any

    def equals(self, value: Any) -> Condition:
        """Whether it is this value; None is that it has none."""
        if value is None:
            return self.column.is_(None)
        return self.column == self.bound(value)

    def compares(self, order: Callable[[Any, Any], Any], value: Any) -> Condition:
        """Whether it is less or more; databases sort text in orders of their own."""
        raise UserError(f"--where {self.name}: {value!r:.40} has no order here; only =, != and in")

    def bound(self, value: Any) -> Any:
        """The value as the column has it."""
        return value


class _Text(_Term):
    def bound(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise UserError(f"--where {self.name}: {self.name} is text; put {value!r:.40} in quotes")
        return value


class _Number(_Term):
    def bound(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"--where {self.name}: {self.name} is a number, not {value!r:.40}")
        return literal(_as_float(value), Float)  # an integer's type would round it, or have no room for it

    def compares(self, order: Callable[[Any, Any], Any], value: Any) -> Condition:
        return order(self.column, self.bound(value))


class _Setting(_Term):
    """A param: text in the registry, a number if it looks like one."""

    def bound(self, value: Any) -> Any:
        return comparable(value if isinstance(value, bool | str) else _as_float(value))

    def compares(self, order: Callable[[Any, Any], Any], value: Any) -> Condition:
        if isinstance(value, bool | str):
            return super().compares(order, value)
        number = case((self.column.regexp_match(NUMBER), cast(self.column, Float)))
        return order(number, literal(_as_float(value), Float))


class _Marks(_Term):
    """Aliases or tags, with the contents that have them: a checkpoint may have several, or none, which is null."""

    def equals(self, value: Any) -> Condition:
        if value is None:
            return col(Artifact.content).not_in(set().union(*self.column.values()))
        return col(Artifact.content).in_(self.column.get(value, []))


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
