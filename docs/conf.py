"""How the documentation is built. Nothing is fetched: it builds without a network."""

from importlib.metadata import version as version_of

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
nitpick_ignore_regex = [(r"py:.*", r"(?!xmppd\.).*"), (r"py:.*", r"xmppd\..*\.[A-Z]")]

html_theme = "alabaster"
html_theme_options = {"description": "An XMPP server on Twisted", "fixed_sidebar": True}
