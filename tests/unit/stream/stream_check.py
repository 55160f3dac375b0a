"""Check the stream parser in this Python: ``python -m tests.unit.stream.stream_check``.

Expat differs from one Python to the next, and with it what it does with torn tags. An interpreter
that has none of our dependencies can run this: the package xmppd.stanza, whose __init__ asks for
them, is entered without it.
"""

import json
import pyexpat
import sys
import time
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[3]


def enter_stanza() -> None:
    """Make xmppd.stanza a package of its modules alone."""
    package = ModuleType("xmppd.stanza")
    package.__path__ = [str(ROOT / "xmppd" / "stanza")]
    sys.modules["xmppd.stanza"] = package


def main() -> None:
    """Print as JSON who we are, and what was heard otherwise than it should be."""
    enter_stanza()
    from tests.unit.stream.stream_cases import CASES, mishearings  # noqa: PLC0415
    from xmppd.stream.tcp_framing import TCP  # noqa: PLC0415

    begun = time.process_time()
    broken = [line for case in CASES for line in mishearings(case, TCP)]
    report = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "expat": pyexpat.EXPAT_VERSION,
        "deferral": hasattr(pyexpat.ParserCreate(), "SetReparseDeferralEnabled"),
        "cases": len(CASES),
        "cpu_s": round(time.process_time() - begun, 2),
        "broken": broken,
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
