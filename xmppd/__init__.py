"""xmppd, an XMPP server on Twisted. The way of a stanza through the rooms of this package:

a connection (:mod:`xmppd.net`) brings its bytes, a stream (:mod:`xmppd.stream`) makes a stanza of
them (:mod:`xmppd.stanza`), and a router (:mod:`xmppd.router`) finds whose job it is. A handler
(:mod:`xmppd.handler`) does it, with the roster (:mod:`xmppd.roster`), the presence of contacts
(:mod:`xmppd.presence`) and the routes to them (:mod:`xmppd.routing`). A session
(:mod:`xmppd.session`) delivers it, by its connection.
"""

from xmppd.build import heed_environment

heed_environment()
