"""xmppctl: the administrator's commands, and the socket by which they come.

The descriptions of commands are what both sides share: argparse gets its words from them, and the
server looks up there what to run. xmppctl asks the server for those it needs; while that is down,
it does the commands itself, by the same table (:mod:`xmppd.ctl.commands`).
"""
