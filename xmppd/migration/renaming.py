"""Renaming: addresses of a domain that is called otherwise here."""

from collections.abc import Mapping

from xmppd.stanza import Tree

ATTRIBUTES = ("jid", "from", "to", "by", "publisher", "id", "node", "value")
"""Those in which addresses stand; others of these names only look like one by chance."""


def renamed(address: str, domains: Mapping[str, str]) -> str:
    """An address at the domain's new name."""
    bare, slash, resource = address.partition("/")
    local, at, domain = bare.rpartition("@")
    return f"{local}{at}{domains[domain]}{slash}{resource}" if domain in domains else address


def rename_all(tree: Tree, domains: Mapping[str, str]) -> None:
    """Rename the addresses in the attributes of a tree, and of all in it."""
    if not domains:
        return
    for each in tree.iter():
        for name in ATTRIBUTES:
            value = each.get(name)
            if value is not None:
                each.set(name, renamed(value, domains))


__all__ = ["rename_all", "renamed"]
