"""Names of elements in a tree, spelled so that they mean the same on every stream.

A stanza, and its descendants in the content namespace all the way down, carry no namespace. All
other names are ``{namespace}name``, also those of the content namespace inside an element of
another one; a name without a namespace in there is in none. An element in no namespace that stands
directly in the content is spelled ``{}name`` (FR-6).

Nothing here needs more than the standard library.
"""

from xml.etree.ElementTree import Element as Tree


def qname(namespace: str, name: str) -> str:
    """``{namespace}name``, as elements and handlers spell it."""
    return f"{{{namespace}}}{name}"


def local_name(tag: str) -> str:
    """The name without its namespace."""
    return tag.rpartition("}")[2]


def namespace_of(tag: str) -> str:
    """The namespace of ``{namespace}name``; empty for the content namespace, and for none."""
    return tag[1:].partition("}")[0] if tag[:1] == "{" else ""


def put_names_right(tree: Tree, namespace: str, *, bare_is_content: bool) -> bool:
    """Spell the names of a tree in the way of this module, in place.

    Args:
        tree: An element at stanza level, as expat has read it.
        namespace: The content namespace.
        bare_is_content: Whether it was read behind a header that does not declare the content
            namespace, so that what is in no namespace is content; else it is in none.

    Returns:
        Whether anything was spelled otherwise.
    """
    content = f"{{{namespace}}}"
    renamed = False
    inside = [tree]  # what of the content was not looked at yet
    while inside:
        found = inside.pop()
        tag = found.tag
        if tag[0] == "{":
            if not tag.startswith(content):
                continue
            found.tag = tag[len(content) :]
            renamed = True
        elif not bare_is_content:
            found.tag = "{}" + tag
            renamed = True
            continue
        inside += found
    return renamed
