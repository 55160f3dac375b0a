"""The features that come with xmppd: one XEP per file, each loaded by its name in ``[plugins]``."""
