"""The guestbook, a plugin of several files with nearly all kinds of parts."""
