"""The table of commands."""

from xmppd.ctl import explain, house, rosters, sessions, trace, users

TABLE = {
    command.name: command
    for command in (
        *users.COMMANDS,
        *sessions.COMMANDS,
        *rosters.COMMANDS,
        *explain.COMMANDS,
        *trace.COMMANDS,
        *house.COMMANDS,
    )
}

GROUPS = {
    "user": "accounts",
    "session": "who is connected",
    "roster": "contacts of an account",
    "group": "shared groups",
    "explain": "why",
    "plugin": "plugins",
    "config": "the configuration",
    "db": "the database",
}
"""What the first words of two mean."""
