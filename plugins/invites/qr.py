"""QR codes, drawn here: the one import of segno."""

import segno

QUIET_MODULES = 4
"""The white edge that readers need (ISO 18004)."""


def picture(text: str) -> str:
    """A QR code as the address of a picture."""
    code = segno.make(text, error="m", micro=False)
    address: str = code.svg_data_uri(
        border=QUIET_MODULES, scale=4, light="#fff", dark="#000", omitsize=True
    )
    return address


__all__ = ["picture"]
