"""xmppctl: the administrator's commands, and the socket by which they come.

xmppctl itself knows no command. A server that runs reads the words of the command line by the
descriptions of its commands (:mod:`xmppd.ctl.command_line`), and answers; while it is down, xmppctl
does the same by the same table (:mod:`xmppd.ctl.commands`).
"""
