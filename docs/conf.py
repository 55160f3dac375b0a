"""How the documentation is built. Nothing is fetched: it builds without a network."""

import ast
import subprocess
import sys
from importlib.metadata import version as version_of
from pathlib import Path

project = "xmppd"
author = "the xmppd developers"
release = version = version_of("xmppd")

extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.extlinks",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
extlinks = {"xep": ("https://xmpp.org/extensions/xep-%s.html", "XEP-%s")}

apidoc_modules = [
    {
        "path": "../xmppd",
        "destination": "reference",
        "separate_modules": True,
        "exclude_patterns": ["**/migrations/**"],
    },
]
autodoc_default_options = {
    "members": True,
    "undoc-members": True,
    "show-inheritance": True,
    "ignore-module-all": True,  # each name is documented where it is made
}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# "Spec:" ends a docstring with the RFC or XEP it obeys.
napoleon_custom_sections = [("Spec", "notes_style")]
napoleon_use_ivar = True

# A reference into xmppd that leads nowhere fails the build. Twisted, zope, lxml and the standard
# library are not looked up, so theirs are not held; nor are type variables, which have no page.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!xmppd\.).*"),
    (r"py:.*", r"xmppd\..*\.[A-Z](_contra|_co)?"),
    (r"py:class", r".*\.Annotated\[.*"),
]
# The builtin type is looked for among attributes of that name, and there are several.
suppress_warnings = ["ref.python"]

html_theme = "alabaster"
html_static_path = ["static"]
html_show_copyright = False
html_theme_options = {
    "description": "An XMPP server that explains itself",
    "fixed_sidebar": True,
    "page_width": "1120px",  # a line of 100 characters fits
}


# --- xeps.md ----------------------------------------------------------------------------------

PLUGINS = Path(__file__).parent.parent / "plugins"
XEPS = Path(__file__).parent / "xeps.md"
XEPS_HEAD = """\
# The XEPs

What the server knows beyond RFC 6120 and 6121, each a plugin of this name in `plugins/`. Which of
them are loaded is said by `load` in `[plugins]` of the configuration.

What is no plugin is always there.

- Logging in: {xep}`0388` (Extensible SASL Profile), {xep}`0386` (Bind 2), {xep}`0484`
  (FAST tokens), {xep}`0480` (SASL upgrade tasks), {xep}`0440` (channel bindings), {xep}`0474`
  (SCRAM downgrade protection), and {xep}`0368` (TLS from the first byte).
- Sessions: {xep}`0198` (stream management), {xep}`0160` and {xep}`0203` (offline messages), and the
  rules behind {xep}`0280`, {xep}`0352`, {xep}`0016`, {xep}`0191` and {xep}`0186`.
- Archives, with `archive`: {xep}`0441` (preferences) and {xep}`0359` (ids). Pages ({xep}`0059`) are
  wherever lists may be long.
- Other servers: {xep}`0220` and {xep}`0185` (dialback), {xep}`0178` (certificates), {xep}`0288`
  (both directions on one connection), {xep}`0368` (where they are).
- Components: {xep}`0114`, {xep}`0355` (namespace delegation, by configuration) and {xep}`0356`
  (privileged entities: rosters, messages, presence).

| XEP | plugin | |
|---|---|---|
"""


def write_xeps(app):
    """Make the list of XEPs from the first line of each plugin: ``XEP-0199: XMPP Ping. …``."""
    rows = []
    for path in (*PLUGINS.glob("*.py"), *PLUGINS.glob("*/__init__.py")):
        name = path.parent.name if path.stem == "__init__" else path.stem
        words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        xep, colon, title = words.partition("\n")[0].partition(": ")
        if colon and xep.startswith("XEP-"):
            rows += [
                f"| {{xep}}`{each.removeprefix('XEP-')}` | `{name}` | {title} |\n"
                for each in xep.split(", ")
            ]
    XEPS.write_text(XEPS_HEAD + "".join(sorted(rows)), encoding="utf-8")


def add_next_release(app, page, text):
    """Show the changes since the last release, which are still in newsfragments/."""
    if page == "changes":
        towncrier = [sys.executable, "-m", "towncrier", "build", "--draft"]
        as_next = ["--version", "next release", "--date", "not released yet"]
        drafted = subprocess.run(  # noqa: S603  # no part of it came from outside
            [*towncrier, *as_next], cwd=PLUGINS.parent, capture_output=True, check=True, text=True
        )
        text[0] += "\n" + drafted.stdout[drafted.stdout.index("## ") :]


def setup(app):
    """Sphinx calls this once."""
    app.connect("source-read", add_next_release)
    app.connect("builder-inited", write_xeps)
