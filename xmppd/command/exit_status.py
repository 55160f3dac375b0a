"""The numbers with which xmppctl ends, so that a script can tell what has happened (CR-14).

Nothing here needs more than the language itself: xmppctl loads it each time.
"""

DONE = 0
REFUSED = 1
NOT_UNDERSTOOD = 2
INCOMPLETE = 3
"""All was done that could be, and a node of the service has not answered."""

NOT_THERE = 4
NO_SERVER = 5

MEANINGS = {
    DONE: "done",
    REFUSED: "refused, or failed",
    NOT_UNDERSTOOD: "invalid: an unknown command or option, or a value of the wrong kind",
    INCOMPLETE: "done, but a node of the service did not answer: its part is missing",
    NOT_THERE: "what the command is about does not exist",
    NO_SERVER: "no server is running",
}
"""What each number means, for the manual."""
