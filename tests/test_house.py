"""The rules of the house that no other tool holds, read from the source itself."""

import ast
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]
SOURCE = ("xmppd", "plugins", "twisted")

# The stages of the pipeline, each in the file of its name.
STAGES = {
    "ConnectionHandler": "net",
    "StanzaHandler": "stream",
    "PacketRouter": "router",
    "IQRouter": "router",
    "MessageRouter": "router",
    "PresenceRouter": "router",
    "PresenceUpdateHandler": "handler",
    "PresenceSubscribeHandler": "handler",
    "PresenceManager": "presence",
    "RosterManager": "roster",
    "Roster": "roster",
    "RoutingTable": "routing",
    "SessionManager": "session",
    "LocalClientSession": "session",
    "InterceptorManager": "session",
}

# Whose job it is to survive what is not foreseen, by file.
SURVIVORS = {
    "xmppd/cluster/conversation.py",
    "xmppd/command/command_table.py",
    "xmppd/components/internal_component.py",
    "xmppd/components/service_domains.py",
    "xmppd/config/settings.py",
    "xmppd/ctl/control.py",
    "xmppd/disco/disco.py",
    "xmppd/events.py",
    "xmppd/host/metrics.py",
    "xmppd/message/follower.py",
    "xmppd/message/offline_message_flood.py",
    "xmppd/net/connection_handler.py",
    "xmppd/net/epoll_hub.py",
    "xmppd/net/epoll_port.py",
    "xmppd/net/first_step.py",
    "xmppd/plugin/plugin_manager.py",
    "xmppd/router/iq_router.py",
    "xmppd/router/packet_router.py",
    "xmppd/session/interceptor_manager.py",
    "xmppd/session/pulls.py",
    "xmppd/session/saved_sessions.py",
    "xmppd/store/group_commit.py",
    "xmppd/store/readable.py",
    "xmppd/stream/bound_extra.py",
    "xmppd/stream/inline_feature.py",
    "xmppd/stream/stream_feature.py",
    "xmppd/web/http_path.py",
}

# Functions that may import when they are called: what they import installs a reactor, or must not
# be loaded by every twistd on the machine, or may not be installed.
LATE_IMPORTS = {
    ("xmppd/app.py", "makeService"),
    ("twisted/plugins", ""),
    ("xmppd/ctl/letters.py", "_letters"),
    ("xmppd/ctl/letters.py", "width_of"),
    ("xmppd/ctl/main.py", "answered_here"),
    ("xmppd/ctl/main.py", "data_directory"),
    ("xmppd/ctl/main.py", "main"),
    ("xmppd/ctl/main.py", "secret"),
    ("xmppd/ctl/main.py", "words_of"),
    ("xmppd/ctl/offline.py", "_refuse_if_nodes_live"),
    ("xmppd/service.py", "_cluster"),
    ("xmppd/service.py", "_renewals"),
    ("xmppd/setup/setting_up.py", "_refusal"),
    ("xmppd/store/engine.py", "_postgresql_engine"),
    ("xmppd/store/migrate.py", "prepare"),
    ("xmppd/store/tables.py", "_upgrade"),
}

MAX_ARGUMENTS = 6
MAX_CONSTRUCTOR_LINES = 60

# Where the time of day is read; everything that lasts is measured by the steady clock instead.
WALL_CLOCK = "xmppd/host/wall_clock.py"

RULE = re.compile(
    r"\b(?:CH|FR|SH|SC|LI|FA|UP|SI|CC|IN|PK|IQ|MR|CA|OM|OS|PR|PU|DP|RO|PS|PM|PL|RP|RT|SM|BI|SE|RS|CS"
    r"|SV|CO|QT|ST|BOOT|AT|PW|RG|CL|AR|QU|OA|UN|PN|HT|WS|BO|HM|ME|RM|CR|CN|SU|AU)-\d+\b"
)


@cache
def tracked() -> tuple[Path, ...]:
    """The files of the project: what git knows or would add; without git, what lies about."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        ).stdout.split("\0")
        files = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        files = [path for path in ROOT.rglob("*") if path.relative_to(ROOT).parts[0] != ".venv"]
    return tuple(sorted(path for path in files if path.is_file()))


def name_of(path: Path) -> str:
    """The path as people write it."""
    return path.relative_to(ROOT).as_posix()


def python(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Each Python file in these folders, by name."""
    for path in tracked():
        name = name_of(path)
        if path.suffix == ".py" and name.split("/")[0] in folders:
            yield name, parsed(path)


@cache
def parsed(path: Path) -> ast.Module:
    """The file as Python reads it."""
    return ast.parse(path.read_text(encoding="utf-8"), name_of(path))


def snake(name: str) -> str:
    """``IQRouter`` as a file says it: ``iq_router``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function, methods and inner ones included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


class Rules(SynchronousTestCase):
    """A rule that is broken lists every place, not only the first."""

    def assert_none(self, broken: list[str], rule: str) -> None:
        if broken:
            self.fail("\n".join([rule, *broken]))


def _derived_from(node: ast.AST) -> list[str]:
    """The classes from which another is derived here, also to make a stage of it."""
    if isinstance(node, ast.ClassDef):
        bases = node.bases
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "replaceable":
        bases = node.args
    else:
        return []
    return [ast.unparse(base).rpartition(".")[2] for base in bases]


class NameTests(Rules):
    def test_snake(self) -> None:
        """A class name leads to its file name, abbreviations included."""
        for name, file in (
            ("IQRouter", "iq_router"),
            ("LocalClientSession", "local_client_session"),
        ):
            self.assertEqual(snake(name), file)

    def test_stages(self) -> None:
        """Each stage of the pipeline lives in the file of its name, in its room."""
        broken = [
            f"{name}: {node.name}"
            for name, tree in python("xmppd")
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            and node.name in STAGES
            and name
            != "xmppd/config/config.py"  # whose sections are named after what they configure
            and name != f"xmppd/{STAGES[node.name]}/{snake(node.name)}.py"
        ]
        self.assert_none(broken, "A stage wears its name on its file:")

    def test_rooms(self) -> None:
        """In handler/ are handlers only, in router/ routers only: each in the file of its name."""
        broken = [
            name
            for name, tree in python("xmppd")
            for room in ("handler", "router")
            if name.startswith(f"xmppd/{room}/") and not name.endswith("/__init__.py")
            if not name.endswith(f"_{room}.py") or Path(name).stem not in map(snake, classes(tree))
        ]
        self.assert_none(broken, "What is no handler, or no router, belongs into another room:")

    def test_compiled(self) -> None:
        """A class of a compiled module has others derived from it only if it says so: else Python
        refuses to make them where that module is compiled.
        """
        setup = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
        (listed,) = (
            ast.literal_eval(node.value)
            for node in setup.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED"
        )
        alone = {
            node.name
            for name, tree in python("xmppd")
            for node in ast.walk(tree)
            if name in listed and isinstance(node, ast.ClassDef)
            if not any("interpreted_subclasses=True" in ast.unparse(d) for d in node.decorator_list)
        }
        broken = [
            f"{name}: {base}"
            for name, tree in python(*SOURCE, "tests", "bench")
            if name not in listed
            for node in ast.walk(tree)
            for base in _derived_from(node)
            if base in alone
        ]
        self.assertIn("JID", alone)
        wired = ast.parse((ROOT / "xmppd/server/wiring.py").read_text(encoding="utf-8"))
        self.assertIn("RoutingTable", [base for n in ast.walk(wired) for base in _derived_from(n)])
        self.assert_none(broken, "Derived from what is compiled:")

    def test_no_name_twice(self) -> None:
        """A class has a name of its own, in the server and its plugins alike."""
        files = defaultdict[str, list[str]](list)
        for name, tree in python("xmppd", "plugins"):
            for found in classes(tree):
                files[found].append(name)
        broken = [
            f"{found}: {', '.join(names)}"
            for found, names in files.items()
            if len(names) > 1 and not found.startswith("_")
        ]
        self.assert_none(broken, "Two classes of one name:")

    def test_packages(self) -> None:
        """A package's __init__ is its docstring; only stanza's gives names another home, that of
        a plugin has its ``plug``, and what comes first of all heeds the environment.
        """
        broken = [
            name
            for name, tree in python("xmppd", "plugins")
            if name.endswith("/__init__.py")
            and name not in ("xmppd/__init__.py", "xmppd/stanza/__init__.py")
            and not (name.startswith("plugins/") and name.count("/") > 1)
            and not (len(tree.body) == 1 and ast.get_docstring(tree))
        ]
        self.assert_none(broken, "No code in an __init__:")

    def test_twisted_is_not_ours(self) -> None:
        """The folder twisted stays a namespace, or it would hide Twisted itself."""
        broken = [name for name, _ in python("twisted") if name.endswith("/__init__.py")]
        self.assert_none(broken, "No __init__ in twisted:")

    def test_docstrings(self) -> None:
        """Every public module and class says what it is for."""
        broken = [
            f"{name}: {getattr(node, 'name', 'the module')}"
            for name, tree in python(*SOURCE, "tests", "bench")
            if not (name.startswith("tests/") and name.endswith("/__init__.py"))
            for node in [tree, *tree.body]
            if isinstance(node, ast.Module | ast.ClassDef)
            and not getattr(node, "name", "").startswith("_")
            and not (name.startswith("tests/") and isinstance(node, ast.ClassDef))
            and not ast.get_docstring(node)
        ]
        self.assert_none(broken, "A docstring is missing:")


class ConstructorTests(Rules):
    """Whoever is given too much does too much."""

    def test_arguments(self) -> None:
        """A constructor has six arguments at most."""
        broken = [
            f"{name}:{function.lineno} {owner}"
            for name, tree in python(*SOURCE)
            for owner, function in constructors(tree)
            if len(arguments_of(function)) > 1 + MAX_ARGUMENTS
        ]
        self.assert_none(broken, f"A constructor with more than {MAX_ARGUMENTS} arguments:")

    def test_length(self) -> None:
        """A constructor has sixty lines at most."""
        broken = [
            f"{name}:{function.lineno} {owner}"
            for name, tree in python(*SOURCE)
            for owner, function in constructors(tree)
            if (function.end_lineno or 0) - function.lineno >= MAX_CONSTRUCTOR_LINES
        ]
        self.assert_none(broken, f"A constructor of more than {MAX_CONSTRUCTOR_LINES} lines:")


def constructors(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every ``__init__``, with the name of its class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for function in node.body:
                if isinstance(function, ast.FunctionDef) and function.name == "__init__":
                    yield node.name, function


def arguments_of(function: ast.FunctionDef) -> list[ast.arg]:
    """All that it can be given by name or place, itself included."""
    arguments = function.args
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]


class ImportTests(Rules):
    def test_absolute(self) -> None:
        """Imports are absolute and name what they take.

        The modules of a plugin that is a package may import each other relatively: it may be copied
        into the configured directory, where its package has another name.
        """
        broken = [
            f"{name}:{node.lineno}"
            for name, tree in python(*SOURCE, "tests", "bench")
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            and (
                (node.level and not (node.level < name.count("/") and name.startswith("plugins/")))
                or any(alias.name == "*" for alias in node.names)
            )
        ]
        self.assert_none(broken, "A relative import, or a star:")

    def test_at_the_top(self) -> None:
        """Imports stand at the top, where the pipeline can be read off them."""
        broken = [
            f"{name}:{node.lineno} in {function.name}"
            for name, tree in python(*SOURCE)
            for function in functions(tree)
            if not any(
                name.startswith(file) and where in ("", function.name)
                for file, where in LATE_IMPORTS
            )
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        self.assert_none(broken, "An import inside a function:")

    def test_no_cycle_is_dodged(self) -> None:
        """A cycle of imports is a class in the wrong layer, and is not hidden from Python."""
        broken = [
            f"{name}:{node.lineno}"
            for name, tree in python(*SOURCE, "tests", "bench")
            for node in ast.walk(tree)
            if isinstance(node, ast.Name | ast.Attribute)
            and "TYPE_CHECKING" in (getattr(node, "id", ""), getattr(node, "attr", ""))
        ]
        self.assert_none(broken, "if TYPE_CHECKING:")


class ErrorTests(Rules):
    def test_doors(self) -> None:
        """Only the named doors survive what nobody foresaw; a handler that raises again is free."""
        broken = [
            f"{name}:{node.lineno}"
            for name, tree in python(*SOURCE)
            if name not in SURVIVORS
            for node in ast.walk(tree)
            if isinstance(node, ast.ExceptHandler) and is_broad(node.type) and not raises(node)
        ]
        self.assert_none(broken, "A broad except, away from the doors:")


def classes(tree: ast.Module) -> list[str]:
    """The names of a module's classes."""
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def is_broad(kind: ast.expr | None) -> bool:
    """Whether an except clause of this kind catches what nobody foresaw."""
    if isinstance(kind, ast.Tuple):
        return any(is_broad(part) for part in kind.elts)
    return kind is None or (
        isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"}
    )


def raises(handler: ast.ExceptHandler) -> bool:
    """Whether the handler ends by raising."""
    return isinstance(handler.body[-1], ast.Raise)


class ClockTests(Rules):
    """The time of day may be set at any moment: it is for stamps only."""

    def test_one_place(self) -> None:
        """Nobody reads the time of day but the one who hands it out as such."""
        broken = [
            f"{name}:{line}"
            for name, tree in python(*SOURCE)
            if name != WALL_CLOCK
            for line in reads_wall_clock(tree)
        ]
        self.assert_none(broken, f"The time of day is read, away from {WALL_CLOCK}:")

    def test_rule_itself(self) -> None:
        """The rule sees every way to read the time of day, and lets the others be."""
        tree = ast.parse(
            "from time import time, monotonic\n"
            "import time\n"
            "time.time()\n"
            "start(now=time.time)\n"
            "datetime.now(UTC)\n"
            "datetime.datetime.today()\n"
            "time.time_ns()\n"
            "time.monotonic()\n"
            "management.now()\n"
            "self.time = 1\n"
            "reading.time()\n"
        )
        self.assertEqual(reads_wall_clock(tree), [1, 3, 4, 5, 6, 7])


WALL_CLOCK_READERS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}


def reads_wall_clock(tree: ast.Module) -> list[int]:
    """The lines where the time of day is read, or what reads it is taken."""
    lines = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            taken = {(node.module or "", alias.name) for alias in node.names}
        elif isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            taken = {(name, node.attr)}
        else:
            continue
        if taken & WALL_CLOCK_READERS:
            lines.add(node.lineno)
    return sorted(lines)


class LaterTests(Rules):
    """A call that may have to wait is never dropped."""

    def test_later_is_used(self) -> None:
        """What a ``Later`` function returns is returned, awaited or kept."""
        trees = list(python(*SOURCE))
        later, plain = set[str](), set[tuple[str, str]]()
        for _, tree in trees:
            later |= later_functions(tree)
            plain |= plain_methods(tree)
        broken = [f"{name}:{line}" for name, tree in trees for line in dropped(tree, later, plain)]
        self.assert_none(broken, "A Later is dropped:")

    def test_rule_itself(self) -> None:
        """The rule sees a dropped call, and lets the others be."""
        tree = ast.parse(
            "class PacketRouter:\n"
            "    def route(self, x) -> Later: ...\n"
            "    async def handle(self, x):\n"
            "        self.route(x)\n"
            "        packet_router.route(x)\n"
            "        waiting = self.route(x)\n"
            "        await self.route(x)\n"
            "        if self.route(x): pass\n"
            "        if self.routing_table.route(x): pass\n"
            "        return self.route(x) if x else None\n"
            "class RoutingTable:\n"
            "    def route(self, x) -> bool: ...\n"
            "    def all(self, x): self.route(x)\n"
        )
        later, plain = later_functions(tree), plain_methods(tree)
        self.assertEqual(later, {"route"})
        self.assertEqual(dropped(tree, later, plain), [4, 5, 8])


def is_later(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether the function is annotated to return Later."""
    return isinstance(function.returns, ast.Name) and function.returns.id == "Later"


def later_functions(tree: ast.Module) -> set[str]:
    """The names of the functions that may have to wait."""
    return {function.name for function in functions(tree) if is_later(function)}


def plain_methods(tree: ast.Module) -> set[tuple[str, str]]:
    """Methods that never wait, with the name their object usually has: two may share a verb."""
    return {
        (snake(node.name), function.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for function in node.body
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and not is_later(function)
    }


def dropped(tree: ast.Module, later: set[str], plain: set[tuple[str, str]]) -> list[int]:
    """The lines where what may have to wait is called, and what it returns is not kept."""
    kept = {
        id(call)
        for node in ast.walk(tree)
        if isinstance(node, ast.Return | ast.Await | ast.Assign | ast.AnnAssign | ast.NamedExpr)
        for call in kept_values(node.value)
    }
    kept |= {id(node.body) for node in ast.walk(tree) if isinstance(node, ast.Lambda)}
    return sorted(
        call.lineno
        for owner, call in calls(tree, "")
        if id(call) not in kept and called(call) in later and (owner, called(call)) not in plain
    )


def calls(node: ast.AST, inside: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call, with the name of the object whose method it is; self is its class."""
    if isinstance(node, ast.ClassDef):
        inside = snake(node.name)
    if isinstance(node, ast.Call):
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if isinstance(owner, ast.Attribute):
            yield owner.attr.lstrip("_"), node
        elif isinstance(owner, ast.Name):
            yield inside if owner.id == "self" else owner.id, node
        else:
            yield "", node
    for part in ast.iter_child_nodes(node):
        yield from calls(part, inside)


def kept_values(value: ast.expr | None) -> Iterator[ast.expr]:
    """What a value may be: itself, or either side of a choice."""
    if isinstance(value, ast.IfExp):
        yield from kept_values(value.body)
        yield from kept_values(value.orelse)
    elif value is not None:
        yield value


def called(call: ast.Call) -> str:
    """The bare name of what is called."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def written_rules() -> list[str]:
    """The ids of the rules in docs/pipeline.md."""
    text = read(ROOT / "docs" / "pipeline.md")
    return re.findall(r"^- \*\*([A-Z]+-\d+)\*\* ", text, re.MULTILINE)


class WordTests(Rules):
    def test_rules_are_written_down(self) -> None:
        """Each rule that code or tests cite stands in docs/pipeline.md."""
        written = set(written_rules())
        broken = [
            f"{name_of(path)}: {rule}"
            for path in tracked()
            if path.suffix in {".py", ".md", ".txt", ".toml"}
            for rule in sorted(set(RULE.findall(read(path))) - written)
        ]
        self.assert_none(broken, "A rule nobody can look up:")

    def test_rules_stand_once(self) -> None:
        """No two rules have one id, so that a citation leads to one sentence."""
        ids = written_rules()
        twice = [rule for rule, count in Counter(ids).items() if count > 1]
        self.assert_none(twice, "A rule that stands twice:")

    def test_events_are_in_the_guide(self) -> None:
        """Authors of plugins find each event in the guide, with what it brings."""
        guide = read(ROOT / "docs" / "plugins.md")
        rows = dict(re.findall(r"^\| \{class\}`~([\w.]+)` \| (.*?) \|", guide, re.MULTILINE))
        listed = {name.rpartition(".")[2]: (name, fields) for name, fields in rows.items()}
        trees = list(python("xmppd", "plugins"))
        names = {event for _, tree in trees for event in events(tree)}
        broken = [
            f"{name}: {node.name}, with {', '.join(fields_of(node))}"
            for name, tree in trees
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            and node.name in names
            and name.startswith("xmppd/")
            and listed.get(node.name)
            != (
                f"{name.removesuffix('.py').replace('/', '.')}.{node.name}",
                ", ".join(f"`{field}`" for field in fields_of(node)),
            )
        ]
        self.assert_none(broken, "An event that docs/plugins.md does not have as it is:")
        self.assertGreater(len(names), 15)

    def test_words_lead_somewhere(self) -> None:
        """Whoever looks up a name of before in docs/words.md finds one that there is."""
        known = {part for name, _ in python("xmppd") for part in Path(name).with_suffix("").parts}
        known.update(name for _, tree in python("xmppd", "plugins") for name in defined(tree))
        _, _, table = read(ROOT / "docs" / "words.md").partition("## Names of before")
        rows = re.findall(r"^\| (?!before)(.+?) \| (.+?) \|$", table, re.MULTILINE)
        words = {word for _, now in rows for word in re.findall(r"`([\w.]+)`", now)}
        broken = [word for word in sorted(words) if not known.issuperset(word.split("."))]
        self.assert_none(broken, "A name that nothing has:")
        self.assertGreater(len(words), 20)

    def test_the_project_stands_alone(self) -> None:
        """Nothing refers to notes that are not in the project."""
        shelf = "shared" + "/"
        broken = [
            f"{name_of(path)}:{number}"
            for path in tracked()
            if path.suffix not in {".png", ".ico", ".gz"} and path.name != "LICENSE"
            for number, line in enumerate(read(path).splitlines(), 1)
            if shelf in line
        ]
        self.assert_none(broken, "A reference out of the project:")


class OutwardTests(Rules):
    """Whoever uses the server reads the words of docs/glossary.md, and none that it rules out."""

    def test_glossary(self) -> None:
        """No text that leaves the source has a word that the glossary rules out."""
        broken = [
            f"{name}:{line}: {word}"
            for name, line, text in outward()
            for word in sorted({found[0].lower() for found in ruled_out().finditer(text)})
        ]
        self.assert_none(broken, "A word that docs/glossary.md rules out:")

    def test_it_without_a_noun(self) -> None:
        """No sentence of the program begins with "it": its reader has seen no other before."""
        broken = [
            f"{name}:{line}: {text[:60]}"
            for name, line, text in said()
            if re.match(r"(it|its) [a-z]", text)
        ]
        self.assert_none(broken, 'A sentence that begins with "it", whatever that is:')

    def test_one_of_many(self) -> None:
        """No sentence can say "1 sessions": a number that may be one is written by `counted`."""
        broken = [
            f"{name}:{line}: {text}"
            for name, tree in python(*SOURCE)
            if not name.startswith(INWARD_CODE)
            for line, text in fixed_plurals(tree)
        ]
        self.assert_none(broken, "A word for many behind a number that may be one:")
        tree = ast.parse(
            'f"has {n} sessions", f"of {n:,} lost stanzas", f"at most {MAX} items", f"{n} sees"\n'
            'log("saved {count} sessions", f"{n} bytes", f"saved {counted(n, \'session\')}")'
        )
        self.assertEqual(
            [text for _, text in fixed_plurals(tree)],
            ["{n} sessions", "{n} lost stanzas", "saved {count} sessions"],
        )

    def test_messages_of_the_manual(self) -> None:
        """Whoever looks for the message of a start that failed finds it as the program says it."""
        page = read(ROOT / "docs" / "administration.md")
        _, _, rest = page.partition("The messages that you may see:\n\n")
        rows = rest.partition("\n\n")[0].splitlines()[2:]
        listed = [span for row in rows for span in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
        known = [text for _, _, text in said()]
        broken = [span for span in listed if not any(is_part(span, text) for text in known)]
        self.assert_none(broken, "A message of docs/administration.md that nothing says:")
        self.assertGreater(len(listed), 40)

    def test_rule_itself(self) -> None:
        """The rule sees the words and not what looks like them, and no text that stays inside."""
        self.assertEqual(
            [found[0] for found in ruled_out().finditer("He told the door, which is no house")],
            ["told", "door", "is no", "house"],
        )
        for text in (
            "there is no listener",
            "it is no longer open",
            "a doorway",
            "more than told-by",
        ):
            with self.subTest(text):
                self.assertEqual(
                    [found[0] for found in ruled_out().finditer(text) if found[0] != "told"], []
                )
        tree = ast.parse(
            '"""A door."""\n'
            "def f(door):\n"
            '    """The wire."""\n'
            '    assert door, "it is a door"\n'
            '    raise ValueError(f"the {door.wire} is open" " for all")\n'
            '    return "door"\n'
        )
        self.assertEqual(sentences(tree), [(5, "the … is open for all")])
        page = "a\n```\ndoor\n```\nthe `door` of\n    door\n[b](door.md)\n"
        self.assertEqual(ruled_out().findall(running_text(page)), [])
        self.assertEqual(running_text(page).count("\n"), page.count("\n"))


# Pages for those who change the source, and speak its words; and what is made of others.
INWARD_PAGES = {"architecture", "pipeline", "words", "performance", "scaling", "glossary", "public"}
# Where sentences are for those who write plugins and tests, with the words of the source.
INWARD_CODE = ("xmppd/testing/", "xmppd/plugin/public.py")


@cache
def ruled_out() -> re.Pattern[str]:
    """The words in the third column of the glossary's tables."""
    glossary = read(ROOT / "docs" / "glossary.md")
    rows = re.findall(r"^\|[^|\n]*\|[^|\n]*\|([^|\n]*)\|$", glossary, re.MULTILINE)
    words = "|".join(
        f"[{word[0].upper()}{word[0]}]{word[1:]}"
        for row in rows
        for word in re.findall(r"`([^`]+)`", row)
    )
    return re.compile(rf"(?<![Tt]here )\b(?:{words})\b(?! (?:longer|more than|less than)\b)")


def outward() -> Iterator[tuple[str, int, str]]:
    """Every line of text that users read, with its file and number."""
    for path in tracked():
        name = name_of(path)
        pages = ("docs/", "newsfragments/", "README.md")
        if name.startswith(pages) and path.suffix == ".md" and path.stem not in INWARD_PAGES:
            text = running_text(read(path))
        elif path.suffix == ".html" and name.startswith(("xmppd/", "plugins/")):
            text = re.sub(r"<[^>]*>|\{\{.*?\}\}|\{%.*?%\}", " ", read(path))
        elif name.startswith("etc/") and path.suffix in {".toml", ".1", ".5"}:
            text = read(path)
        else:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            yield name, number, line
    yield from said()


def said() -> Iterator[tuple[str, int, str]]:
    """The sentences of the program: help texts, errors, log lines, titles of forms and pages."""
    for name, tree in python(*SOURCE):
        if not name.startswith(INWARD_CODE):
            for number, text in sentences(tree):
                yield name, number, text


def is_part(span: str, text: str) -> bool:
    """Whether a message, in which … stands for anything, is a part of a sentence."""
    pieces = [re.escape(piece) for piece in re.split(r" ?… ?", span) if piece]
    return re.search(".*".join(pieces), text) is not None


def sentences(tree: ast.Module) -> list[tuple[int, str]]:
    """The strings of several words; neither docstrings nor what an assertion is sure of."""
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr | ast.Assert)
        for part in (ast.walk(node) if isinstance(node, ast.Assert) else [node.value])
    }
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside.update(map(id, node.values))
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if id(node) not in inside and " " in text.strip():
            texts.append((node.lineno, text))
    return sorted(texts)


# What sentences count. Bytes are not among them: sizes and limits are never one.
COUNTED = (
    "account call certificate character client component connection contact copy day device edge "
    "element entry event failure field file group hour item job key login member message minute "
    "node occupant option peer person record request room row second session setting stanza stream "
    "subscriber subscription time token visitor write"
)
PLURALS = "|".join(
    word[:-1] + "ies" if word.endswith("y") and word[-2] not in "ae" else word + "s"
    for word in COUNTED.split()
)
BEHIND_A_NUMBER = re.compile(rf" (?:[a-z]*[a-rt-z] )?(?:{PLURALS})\b")
NUMBER_IN_TEMPLATE = re.compile(
    rf"\{{(?:count|number|total|left|days|unread)\}}{BEHIND_A_NUMBER.pattern}"
)


def fixed_plurals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Where a number that is no constant is followed by the word for many."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if NUMBER_IN_TEMPLATE.search(node.value):
                yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            for number, behind in pairwise(node.values):
                if not (
                    isinstance(number, ast.FormattedValue) and isinstance(behind, ast.Constant)
                ):
                    continue
                of = ast.unparse(number.value)
                found = BEHIND_A_NUMBER.match(str(behind.value))
                if found and not of.rpartition(".")[2].isupper():
                    yield node.lineno, f"{{{of}}}{found[0]}"


def running_text(page: str) -> str:
    """A page without code, addresses, comments, and headings that are a name; each line where it
    was.
    """
    code = r"^#+ \w+$|^```.*?^```$|^:::.*?$|`[^`]*`|^    [^\n]*$|\]\([^)]*\)|<!--.*?-->"
    return re.sub(
        code, lambda found: "\n" * found[0].count("\n"), page, flags=re.MULTILINE | re.DOTALL
    )


def defined(tree: ast.Module) -> Iterator[str]:
    """What a file gives a name: classes, functions, arguments, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def events(tree: ast.Module) -> Iterator[str]:
    """The classes that somebody fires, or listens to."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and called(node) in ("fire", "on", "On")
            and node.args
            and isinstance(event := node.args[0], ast.Call | ast.Name)
        ):
            name = called(event) if isinstance(event, ast.Call) else event.id
            if name[:1].isupper():
                yield name


def fields_of(node: ast.ClassDef) -> list[str]:
    """The fields of a dataclass, in order."""
    return [
        line.target.id
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    ]


@cache
def read(path: Path) -> str:
    """The file's text."""
    return path.read_text(encoding="utf-8", errors="replace")
