"""How pages say values."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.pages.cells import arguments


class ArgumentTests(SynchronousTestCase):
    def test_words(self) -> None:
        """What a command was told is said in words, without what was hidden."""
        for told, said in (
            ('{"account":"romeo@localhost","password":"…"}', "account romeo@localhost"),
            ('{"jid":["a@b","c@d"],"revoke":true}', "jid a@b c@d, revoke"),
            ("{}", ""),
            ('{"rows":6,"name":"\\u202egnp"}', "rows 6, name …gnp"),
            ('{"cut":"xxx…', '{"cut":"xxx…'),
            ("[1]", "[1]"),
        ):
            self.assertEqual(arguments(told), said)
