"""xmppd, an XMPP server on Twisted. A stanza's walk through the rooms of this package:

it comes through the door as bytes (:mod:`xmppd.net`), is given words (:mod:`xmppd.stanza`), the
hall asks whose job it is (:mod:`xmppd.router`), someone does it (:mod:`xmppd.handler`), asking who
may know (:mod:`xmppd.roster`), who is here (:mod:`xmppd.presence`) and where they are
(:mod:`xmppd.routing`), and at the window it is handed out (:mod:`xmppd.session`), back to the net.
"""
