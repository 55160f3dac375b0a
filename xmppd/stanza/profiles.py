"""How localparts and resources are prepared (:rfc:`8265`), by a library of PRECIS."""

import re

from precis_i18n.baseclass import FreeFormClass, IdentifierClass
from precis_i18n.profile import OpaqueString, Username
from precis_i18n.unicode import UnicodeData

_RULED_AS_ONE = tuple(map(re.compile, ("[\u0660-\u0669]", "[\u06f0-\u06f9]", "\u30fb")))
"""Characters on which :rfc:`5892#appendix-A` has rules about the whole text, wherever they stand:
Arabic digits of two kinds, and the middle dot of Katakana.
"""


def _each_rule_once(text: str) -> str:
    """A text that is allowed if this one is, and is checked in linear time.

    The library looks through the whole text for each character of :data:`_RULED_AS_ONE`. Here only
    the first of each kind is left; in the place of the others stands one that is always allowed,
    and means as little to its neighbours as they do.
    """
    for kind in _RULED_AS_ONE:
        first = kind.search(text)
        if first is not None:
            text = text[: first.end()] + kind.sub("a", text[first.end() :])
    return text


class _Identifier(IdentifierClass):
    def enforce(self, value: str, codec_name: str | None = None) -> str:
        super().enforce(_each_rule_once(value), codec_name)
        return value


class _FreeForm(FreeFormClass):
    def enforce(self, value: str, codec_name: str | None = None) -> str:
        super().enforce(_each_rule_once(value), codec_name)
        return value


class _LocalProfile(Username):
    def __init__(self, ucd: UnicodeData) -> None:
        super().__init__(ucd, "UsernameCaseMapped", "lower")
        self._base = _Identifier(ucd)


class _ResourceProfile(OpaqueString):
    def __init__(self, ucd: UnicodeData) -> None:
        super().__init__(ucd, "OpaqueString")
        self._base = _FreeForm(ucd)


local_profile = _LocalProfile(UnicodeData())
resource_profile = _ResourceProfile(UnicodeData())
