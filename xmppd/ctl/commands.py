"""The table of commands."""

from xmppd.ctl import (
    devices,
    explain,
    house,
    quarantine,
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
        *quarantine.COMMANDS,
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
    "db quarantine": "records that could not be read",
}
"""What the words before the last one mean."""
