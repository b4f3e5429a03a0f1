"""What is changed: one place of one module at a time, in functions, defaults of arguments and constants of numbers.

Texts, annotations, decorators and the declarations of classes stay as they are.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARED = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
COMPUTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
KEPT = {"annotation", "returns", "decorator_list", "format_spec", "type_params"}
SHOWN = 90  # characters of a place


@dataclass(frozen=True)
class Mutant:
    """Attributes:
    path: of the module, from the root of the repository.
    scope: the function, as `Class.method`; empty for a constant of the module.
    first, last: the lines that a test must reach; for a default those of the whole function.
    number: its place among the module's mutants.
    constant: the name in the module that it changes, if it does not change a function.
    is_default: whether it changes the default of an argument.
    change: what is there and what comes instead; unique in the function.
    """

    path: str
    scope: str
    first: int
    last: int
    number: int
    constant: str
    is_default: bool
    change: str

    @property
    def name(self) -> str:
        return f"{self.path} {self.scope or self.constant}: {self.change}"


@dataclass(frozen=True)
class Place:
    """A node, where it stands, and what may stand there instead."""

    node: ast.AST
    put: Callable[[ast.AST], None]
    other: ast.AST
    scope: str
    constant: str
    whole: ast.AST  # what a test must reach

    @property
    def change(self) -> str:
        return f"{shown(self.node)} -> {shown(self.other)}"

    @property
    def is_default(self) -> bool:
        return isinstance(self.whole, FUNCTIONS)


def mutants_of(path: str) -> list[Mutant]:
    """All of a module, in the order of its text."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for number, place in enumerate(places(ast.parse(Path(path).read_text()))):
        key = (place.scope or place.constant, place.change)
        seen[key] += 1
        change = place.change + (f" #{seen[key]}" if seen[key] > 1 else "")
        first, last = place.whole.lineno, place.whole.end_lineno  # type: ignore[attr-defined]
        found.append(Mutant(path, place.scope, first, last, number, place.constant, place.is_default, change))
    return found


def mutated(path: str, number: int) -> ast.Module:
    """The module with one of its mutants; line numbers are as before."""
    tree = ast.parse(Path(path).read_text())
    place = list(places(tree))[number]
    place.put(ast.copy_location(place.other, place.node))
    return ast.fix_missing_locations(tree)


def places(tree: ast.Module) -> list[Place]:
    """Whatever may be changed in a module."""
    return [place for statement in tree.body for place in _of_declaration(statement, "")]


def shown(node: ast.AST) -> str:
    """A node on one line; of a statement that has others in it the head."""
    text = " ".join(ast.unparse(node).split("\n", 1)[0].split())
    return text if len(text) <= SHOWN else text[:SHOWN] + ".."


def _of_declaration(node: ast.AST, scope: str) -> Iterator[Place]:
    """What stands in a module or class outside functions: only functions in it are changed, and constants."""
    if isinstance(node, FUNCTIONS):
        yield from _of_function(node, scope)
    elif isinstance(node, ast.ClassDef):
        for statement in node.body:
            yield from _of_declaration(statement, f"{scope}{node.name}.")
    elif (
        not scope and isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _is_number(node.value)
    ):
        yield from _below(node, "", node.targets[0].id, None)
    else:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Lambda):
                yield from _below(inner, f"{scope}<lambda>", "", None)


def _is_number(node: ast.AST) -> bool:
    allowed = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.Tuple, ast.operator, ast.unaryop, ast.expr_context)
    return all(
        isinstance(one, allowed) and not isinstance(getattr(one, "value", 0), str | bytes | None)
        for one in ast.walk(node)
    )


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: str) -> Iterator[Place]:
    inside = f"{scope}{node.name}"
    yield from _below(node.args, inside, "", node)
    for index in range(len(node.body)):
        yield from _of_item(node, "body", index, inside, None)


def _below(node: ast.AST, scope: str, constant: str, whole: ast.AST | None) -> Iterator[Place]:
    """Whatever may be changed below a node."""
    for name, value in ast.iter_fields(node):
        if name in KEPT:
            continue
        if isinstance(value, list):
            for index in range(len(value)):
                yield from _of_item(node, name, index, scope, whole, constant)
        elif isinstance(value, ast.AST):

            def put(other: ast.AST, name: str = name) -> None:
                setattr(node, name, other)

            yield from _of_node(value, put, scope, constant, whole)


def _of_item(
    parent: ast.AST, name: str, index: int, scope: str, whole: ast.AST | None, constant: str = ""
) -> Iterator[Place]:
    items = getattr(parent, name)
    if isinstance(items[index], ast.AST):
        yield from _of_node(items[index], lambda other: items.__setitem__(index, other), scope, constant, whole)


def _of_node(
    node: ast.AST, put: Callable[[ast.AST], None], scope: str, constant: str, whole: ast.AST | None
) -> Iterator[Place]:
    if isinstance(node, FUNCTIONS):
        yield from _of_function(node, f"{scope}.<locals>.")
        return
    reached = whole or (node if isinstance(node, ast.expr | ast.stmt) else None)
    for other in ALTERNATIVES.get(type(node), lambda _: iter(()))(node):
        assert reached is not None
        yield Place(node, put, other, scope, constant, _head(reached))
    yield from _below(node, scope, constant, whole)


def _head(node: ast.AST) -> ast.AST:
    return node.test if isinstance(node, ast.If | ast.While) else node


# --- what may stand instead of a node, by its type


def _compare(node: ast.Compare) -> Iterator[ast.AST]:
    for index, op in enumerate(node.ops):
        ops = [*node.ops[:index], COMPARED[type(op)](), *node.ops[index + 1 :]]
        yield ast.Compare(node.left, ops, node.comparators)


def _compute(node: ast.BinOp) -> Iterator[ast.AST]:
    is_text = any(
        isinstance(side, ast.JoinedStr) or isinstance(getattr(side, "value", None), str | bytes)
        for side in (node.left, node.right)
    )
    if type(node.op) in COMPUTED and not is_text:
        yield ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right)


def _combine(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def _sign(node: ast.UnaryOp) -> Iterator[ast.AST]:
    if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield node.operand


def _constant(node: ast.Constant) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1) if node.value >= 1 else ast.Constant(node.value + 2)


def _negated(node: ast.If | ast.While | ast.IfExp) -> Iterator[ast.AST]:
    """The other branch; comparisons and `not` are changed by themselves."""
    if not isinstance(node.test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
        fields = dict(ast.iter_fields(node)) | {"test": ast.UnaryOp(ast.Not(), node.test)}
        yield type(node)(**fields)


def _return(node: ast.Return) -> Iterator[ast.AST]:
    if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
        yield ast.Return(ast.Constant(None))


def _call(node: ast.Expr) -> Iterator[ast.AST]:
    if isinstance(node.value, ast.Call | ast.Await):
        yield ast.Pass()


def _assign(node: ast.Assign) -> Iterator[ast.AST]:
    if isinstance(node.targets[0], ast.Attribute | ast.Subscript):
        yield ast.Pass()


def _assign_more(node: ast.AugAssign) -> Iterator[ast.AST]:
    yield ast.Pass()
    if type(node.op) in COMPUTED:
        yield ast.AugAssign(node.target, COMPUTED[type(node.op)](), node.value)


def _remove(node: ast.AST) -> Iterator[ast.AST]:
    yield ast.Pass()


ALTERNATIVES: dict[type[ast.AST], Callable[..., Iterator[ast.AST]]] = {
    ast.Compare: _compare,
    ast.BinOp: _compute,
    ast.BoolOp: _combine,
    ast.UnaryOp: _sign,
    ast.Constant: _constant,
    ast.If: _negated,
    ast.While: _negated,
    ast.IfExp: _negated,
    ast.Return: _return,
    ast.Expr: _call,
    ast.Assign: _assign,
    ast.AugAssign: _assign_more,
    ast.Raise: _remove,
    ast.Delete: _remove,
    ast.Break: lambda _: iter([ast.Continue()]),
    ast.Continue: lambda _: iter([ast.Break()]),
}
