"""Components: services under domains of their own, over a socket (XEP-0114) or inside the
server.
"""
