"""Entries: what one node says to another, one struct for each kind.

They are packed by msgspec as arrays that begin with a tag. What comes from another node is checked
against the types of the fields when it is unpacked
(:class:`~xmppd.cluster.entry_decoder.EntryDecoder`): an address is
:data:`~xmppd.cluster.entries.entry.JIDText` or :data:`~xmppd.cluster.entries.entry.OurJIDText`, a
list of accounts :data:`~xmppd.cluster.entries.entry.Accounts`.
"""
