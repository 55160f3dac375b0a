"""xmppctl: the administrator's commands, and the socket by which they come.

The table of commands (:mod:`xmppd.ctl.commands`) is what both sides share: argparse gets its words
from it, the server looks up there what to run, and so does xmppctl itself while the server is down.
"""
