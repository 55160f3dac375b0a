"""The table of commands."""

from xmppd.ctl import (
    devices,
    explain,
    house,
    reports,
    rosters,
    servers,
    sessions,
    top,
    trace,
    users,
)

TABLE = {
    command.name: command
    for command in (
        *users.COMMANDS,
        *sessions.COMMANDS,
        *devices.COMMANDS,
        *rosters.COMMANDS,
        *servers.COMMANDS,
        *reports.COMMANDS,
        *explain.COMMANDS,
        *trace.COMMANDS,
        *top.COMMANDS,
        *house.COMMANDS,
    )
}

GROUPS = {
    "user": "accounts",
    "session": "who is connected",
    "device": "clients that have access to an account",
    "roster": "contacts of an account",
    "group": "shared groups",
    "s2s": "other servers",
    "report": "what people reported",
    "explain": "why",
    "top": "who causes most",
    "plugin": "plugins",
    "config": "the configuration",
    "db": "the database",
}
"""What the first words of two mean."""
