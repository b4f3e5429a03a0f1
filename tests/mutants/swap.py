"""A mutant put into a running process: the code of living functions is replaced, so nothing is imported again."""

import ast
import functools
import gc
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from tests.mutants.operators import Mutant, mutated

Key = tuple[str, str, int, int]  # file, qualified name, first line, the how manieth of these
OURS = ("gpd.", "tests.")


class Living:
    """What a process has of some modules: functions by their place in the text, and caches, which hide a change."""

    def __init__(self, paths: list[str]) -> None:
        files = {str(Path(path).resolve()): path for path in paths}
        self.functions: dict[Key, list[FunctionType]] = defaultdict(list)
        self.caches: list[Any] = []
        keys = {path: {code: key for key, code in codes(_compiled(path))} for path in paths}
        gc.unfreeze()
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType) and thing.__code__.co_filename in files:
                path = files[thing.__code__.co_filename]
                if thing.__code__ in keys[path]:
                    self.functions[keys[path][thing.__code__]].append(thing)
            elif isinstance(thing, functools._lru_cache_wrapper) and str(thing.__module__).startswith(OURS):
                self.caches.append(thing)

    def put(self, mutant: Mutant) -> bool:
        """Whether the mutant is in place now; there is no way back."""
        for cache in self.caches:
            cache.cache_clear()
        tree = mutated(mutant.path, mutant.number)
        if mutant.constant:
            return _put_constant(mutant, tree)
        before, after = (
            dict(codes(code)) for code in (_compiled(mutant.path), compile(tree, _file(mutant.path), "exec"))
        )
        try:
            return self._put_codes(before, after) | self._put_defaults(mutant, tree)
        except (
            ValueError,
            NameError,
        ):  # another number of closed-over names; a default that only its class could compute
            return False

    def _put_codes(self, before: dict[Key, CodeType], after: dict[Key, CodeType]) -> bool:
        changed = [key for key in before if key in after and before[key] != after[key]]
        living = [(function, after[key]) for key in changed for function in self.functions[key]]
        for function, code in living:
            function.__code__ = code
        return bool(living)

    def _put_defaults(self, mutant: Mutant, tree: ast.Module) -> bool:
        is_put = False
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (node.lineno, node.name) == _def_of(mutant):
                for function in self._of_line(mutant, node):
                    function.__defaults__ = _evaluated(node.args.defaults, function) or None
                    names = [arg.arg for arg in node.args.kwonlyargs]
                    given = [(n, d) for n, d in zip(names, node.args.kw_defaults, strict=True) if d is not None]
                    values = _evaluated([default for _, default in given], function)
                    function.__kwdefaults__ = dict(zip([n for n, _ in given], values, strict=True)) or None
                    is_put = True
        return is_put

    def _of_line(self, mutant: Mutant, node: ast.FunctionDef) -> Iterator[FunctionType]:
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        for (file, name, line, _), functions in self.functions.items():
            if (file, name, line) == (mutant.path, mutant.scope, first):
                yield from functions


def codes(module: CodeType) -> Iterator[tuple[Key, CodeType]]:
    """All functions of a compiled module, nested ones too."""
    seen: Counter[tuple[str, str, int]] = Counter()
    todo = [module]
    path = str(Path(module.co_filename).relative_to(Path.cwd()))
    while todo:
        for inner in (const for const in todo.pop(0).co_consts if isinstance(const, CodeType)):
            key = (path, inner.co_qualname, inner.co_firstlineno)
            seen[key] += 1
            yield (*key, seen[key]), inner
            todo.append(inner)


def _file(path: str) -> str:
    return str(Path(path).resolve())


@functools.cache
def _compiled(path: str) -> CodeType:
    return compile(Path(path).read_text(), _file(path), "exec", dont_inherit=True)


def _def_of(mutant: Mutant) -> tuple[int, str] | None:
    """Line and name of the function whose default it changes, if it changes one."""
    return (mutant.first, mutant.scope.rpartition(".")[2]) if mutant.is_default else None


def _evaluated(nodes: list[ast.expr], function: FunctionType) -> tuple[Any, ...]:
    return tuple(
        eval(compile(ast.Expression(node), "default", "eval"), function.__globals__)  # noqa: S307
        for node in nodes
    )


def _put_constant(mutant: Mutant, tree: ast.Module) -> bool:
    """Gives the constant its other value in the module and wherever it was imported under its name."""
    name = mutant.path.removesuffix(".py").replace("/", ".")
    if name not in sys.modules:
        return False
    before = getattr(sys.modules[name], mutant.constant)
    (value,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == mutant.constant
    ]
    after = eval(compile(ast.Expression(value), mutant.path, "eval"))  # noqa: S307
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith(OURS) and vars(module).get(mutant.constant) is before:
            setattr(module, mutant.constant, after)
    return True
