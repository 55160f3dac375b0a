"""The codes of what ``explain`` and ``status`` say, read from where it is said."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SAYERS = frozenset(("Finding", "Remark", "Trouble", "_because", "_refusal"))
"""What is called with a code and a sentence behind it."""

ROOT = Path(__file__).parents[1]
PLACES = {
    "explain presence": ("explain/presence.py", "explain/parties.py"),
    "explain message": ("explain/message.py", "explain/whereabouts.py", "message"),
    "explain login": ("explain/login.py",),
    "explain session": ("explain/session.py",),
    "status": ("explain/troubles.py",),
}
"""The files, or directories, in which a command's sentences are; those of plugins are apart."""

_CODE = re.compile(r"[a-z]+([_-][a-z]+)*")


@dataclass(frozen=True, order=True)
class Coded:
    """A sentence with its code.

    Attributes:
        command: What says it; of a plugin also its name.
        code: For programs.
        says: The sentence; … stands for what is different each time.
    """

    command: str
    code: str
    says: str


@cache
def codes() -> tuple[Coded, ...]:
    """All of them, each once."""
    found = dict[tuple[str, str], Coded]()
    for command, path in _files():
        for code, says in _said(ast.parse(path.read_text(encoding="utf-8"))):
            known = found.get((command, code))
            if known is None or known.says == "…":
                found[command, code] = Coded(command, code, says)
    return tuple(found.values())


def _files() -> Iterator[tuple[str, Path]]:
    for command, names in PLACES.items():
        for name in names:
            path = ROOT / name
            yield from ((command, each) for each in sorted(path.glob("*.py")) or [path])
    plugins = ROOT.parent / "xmppd_plugins"
    for path in sorted(plugins.rglob("*.py")):
        plugin = path.relative_to(plugins).parts[0].removesuffix(".py")
        yield f"explain message, plugin {plugin}", path


def _said(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each code in a module, with its sentence."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in SAYERS:
                    yield from _of_call(node, function)


def _of_call(call: ast.Call, function: ast.AST) -> Iterator[tuple[str, str]]:
    for place, argument in enumerate(call.args[:-1]):
        choices = (
            [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
        )
        for each in choices:
            if isinstance(each, ast.Constant) and _CODE.fullmatch(str(each.value)):
                yield str(each.value), _sentence(call.args[place + 1], function)
        if len(choices) > 1 or isinstance(argument, ast.Constant):
            return


def _sentence(node: ast.expr, function: ast.AST) -> str:
    """A sentence as it stands there; one in a variable is what was put into that."""
    if isinstance(node, ast.Constant):
        return re.sub(r"\{\w*\}", "…", str(node.value))
    if isinstance(node, ast.JoinedStr):
        parts = (str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values)
        return re.sub(r"\{\w*\}", "…", "".join(parts))
    if isinstance(node, ast.IfExp):
        return _sentence(node.body, function)
    if isinstance(node, ast.Name):
        made = [
            each
            for each in ast.walk(function)
            if isinstance(each, ast.Assign)
            and each.lineno < node.lineno
            and ast.unparse(each.targets[0]) == node.id
        ]
        if made:
            return _sentence(max(made, key=lambda each: each.lineno).value, function)
    return "…"


__all__ = ["Coded", "codes"]
