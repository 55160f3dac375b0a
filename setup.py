"""What setup.cfg cannot say: some modules may be compiled, from the very same source.

``XMPPD_COMPILED=1 pip wheel --no-deps .`` makes a wheel for this machine and version of Python. It
has all that the pure one has, and beside each module below its compiled form, which Python imports
instead of it.
"""

import os

from setuptools import setup

COMPILED = (
    "xmppd/net/token_bucket.py",
    "xmppd/roster/roster.py",
    "xmppd/router/iq_router.py",
    "xmppd/router/message_router.py",
    "xmppd/router/packet_router.py",
    "xmppd/router/presence_router.py",
    "xmppd/routing/routing_table.py",
    "xmppd/session/interceptor_manager.py",
    "xmppd/session/local_client_session.py",
    "xmppd/stanza/jid.py",
    "xmppd/stanza/names.py",
    "xmppd/stanza/splice.py",
    "xmppd/stanza/stanza.py",
    "xmppd/stream/content.py",
    "xmppd/stream/element_parser.py",
    "xmppd/stream/stanza_intake.py",
    "xmppd/stream/stream_header.py",
    "xmppd/stream/stream_parser.py",
    "xmppd/stream/xml_scanner.py",
)
# `make check` has found all that is wrong with types; here it is enough to know those of our own.
MYPY = (
    "--config-file=",
    "--ignore-missing-imports",
    "--follow-imports=silent",
    "--disable-error-code=func-returns-value",
    "--disable-error-code=misc",
)

if os.environ.get("XMPPD_COMPILED"):
    try:
        from mypyc.build import mypycify
    except ImportError:  # pip asks what it must install first
        setup(setup_requires=["mypy>=2.4"])
    else:
        setup(ext_modules=mypycify([*MYPY, *COMPILED], group_name="xmppd", debug_level="0"))
else:
    setup()
