"""SCRAM, as a client meets it."""

from base64 import b64decode, b64encode

from hypothesis import given, settings
from hypothesis import strategies as st
from scramp import ScramClient as ScrampClient  # type: ignore[import-untyped]  # has no types
from slixmpp.util.sasl.client import MECHANISMS as SLIXMPP_MECHANISMS
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import (
    DOMAIN,
    HASHES,
    JULIET,
    KEYS,
    PASSWORD,
    ScramClient,
    Verona,
    attributes_of,
    exchange,
    log_in,
    refusal,
    run,
)
from xmppd.auth.base import Exchange, SASLError
from xmppd.auth.keys import derive_keys
from xmppd.auth.message import MAX_MESSAGE_BYTES
from xmppd.auth.scram import ScramMechanism, downgrade_protection_hash

EXPORTER = {"tls-exporter": b"exported by both ends of this channel"}
PLUS_OFFERED = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")


class VectorTests(SynchronousTestCase):
    """The examples in the standards."""

    def _converse(
        self, hash: str, client_nonce: str, nonce: str, salt: str, final: str
    ) -> tuple[str, str]:
        verona = Verona()
        keys = derive_keys(b"pencil", hash, b64decode(salt), 4096)
        run(verona.store.accounts.create_account(f"user@{DOMAIN}", [keys]))
        mechanism = ScramMechanism(hash, exchange(), verona.provider, nonce=nonce)
        first = run(mechanism.step(f"n,,n=user,r={client_nonce}".encode()))
        last = run(mechanism.step(f"c=biws,r={client_nonce}{nonce},p={final}".encode()))
        self.assertEqual(mechanism.account, f"user@{DOMAIN}")
        return first.decode(), last.decode()

    def test_sha_1(self) -> None:
        """The conversation of RFC 5802 §5 is ours, byte by byte."""
        self.assertEqual(
            self._converse(
                "SHA-1",
                "fyko+d2lbbFgONRv9qkxdawL",
                "3rfcNHYJY1ZVvWVs7j",
                "QSXCR+Q6sek8bf92",
                "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            ),
            (
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
        )

    def test_sha_256(self) -> None:
        """The conversation of RFC 7677 §3 is ours, byte by byte."""
        self.assertEqual(
            self._converse(
                "SHA-256",
                "rOprNGfwEbeRWgbNEkqO",
                "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
                "W22ZaJ0SNY7soEsUEjb6gQ==",
                "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            ),
            (
                (
                    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
                ),
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        )

    def test_downgrade_protection(self) -> None:
        """The example of XEP-0474 has the hash that we send."""
        stream = exchange(
            offered=("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"),
            offered_bindings=("tls-server-end-point", "tls-exporter"),
        )
        self.assertEqual(downgrade_protection_hash(stream, "sha1"), "G6k/rBLDqgOhRRaCuuatSDFkJ08=")


class SuccessTests(SynchronousTestCase):
    """Those who know the password come in."""

    def test_every_hash(self) -> None:
        """SHA-1, SHA-256 and SHA-512 each let her in, and prove that the server knows her too."""
        for hash in HASHES:
            with self.subTest(hash):
                mechanism = ScramMechanism(hash, exchange(), Verona().provider)
                client = ScramClient(hash)
                self.assertTrue(client.accepts(log_in(mechanism, client)))
                self.assertEqual(mechanism.account, JULIET)

    def test_plus(self) -> None:
        """With channel binding she comes in if both ends see the same channel."""
        for binding in ("tls-exporter", "tls-server-end-point"):
            with self.subTest(binding):
                stream = exchange(bindings={binding: b"the channel"}, offered=PLUS_OFFERED)
                mechanism = ScramMechanism("SHA-256", stream, Verona().provider, plus=True)
                client = ScramClient(gs2_header=f"p={binding},,", channel=b"the channel")
                self.assertTrue(client.accepts(log_in(mechanism, client)))

    def test_no_account_before_the_proof(self) -> None:
        """Who has only said a name is nobody yet."""
        mechanism = ScramMechanism("SHA-256", exchange(), Verona().provider)
        run(mechanism.step(ScramClient().first()))
        self.assertIsNone(mechanism.account)

    def test_lists_are_protected(self) -> None:
        """A client that saw our lists finds their hash under the signature (XEP-0474)."""
        stream = exchange(offered=PLUS_OFFERED, offered_bindings=("tls-exporter",))
        mechanism = ScramMechanism("SHA-256", stream, Verona().provider)
        client = ScramClient()
        server_first = run(mechanism.step(client.first()))
        self.assertEqual(
            attributes_of(server_first)["h"], downgrade_protection_hash(stream, "sha256")
        )
        self.assertTrue(client.accepts(run(mechanism.step(client.final(server_first)))))

    def test_client_without_binding(self) -> None:
        """It is honest to say "n": a client without channel binding may log in."""
        stream = exchange(bindings=EXPORTER, offered=PLUS_OFFERED)
        client = ScramClient(gs2_header="n,,")
        mechanism = ScramMechanism("SHA-256", stream, Verona().provider)
        self.assertTrue(client.accepts(log_in(mechanism, client)))

    def test_y_where_there_is_no_plus(self) -> None:
        """It is right to say "y" where no -PLUS was offered."""
        mechanism = ScramMechanism(
            "SHA-256", exchange(offered=("SCRAM-SHA-256",)), Verona().provider
        )
        client = ScramClient(gs2_header="y,,")
        self.assertTrue(client.accepts(log_in(mechanism, client)))

    def test_own_authzid(self) -> None:
        """To act for oneself is allowed."""
        client = ScramClient(gs2_header=f"n,a={JULIET},")
        mechanism = ScramMechanism("SHA-256", exchange(), Verona().provider)
        self.assertTrue(client.accepts(log_in(mechanism, client)))

    def test_name_is_prepared(self) -> None:
        """JULIET and juliet are one account, and the prepared name is what she is called."""
        client = ScramClient(username="JULIET")
        mechanism = ScramMechanism("SHA-256", exchange(), Verona().provider)
        self.assertTrue(client.accepts(log_in(mechanism, client)))
        self.assertEqual(mechanism.account, JULIET)

    def test_escaped_name(self) -> None:
        """A name with "=" and "," arrives whole."""
        verona = Verona()
        run(verona.store.accounts.create_account(f"a=b,c@{DOMAIN}", KEYS))
        client = ScramClient(username="a=3Db=2Cc")
        mechanism = ScramMechanism("SHA-256", exchange(), verona.provider)
        self.assertTrue(client.accepts(log_in(mechanism, client)))
        self.assertEqual(mechanism.account, f"a=b,c@{DOMAIN}")

    def test_unknown_extension(self) -> None:
        """Extensions that may be ignored are ignored, and are under the proof."""
        mechanism = ScramMechanism("SHA-256", exchange(), Verona().provider)
        client = ScramClient()
        server_first = run(mechanism.step(client.first() + b",x=1"))
        client.bare += ",x=1"
        final = client.final(server_first, extension=",y=2")
        self.assertTrue(client.accepts(run(mechanism.step(final))))


class OracleTests(SynchronousTestCase):
    """Clients that others wrote come in."""

    def test_scramp(self) -> None:
        """A client of scramp logs in with every hash."""
        for hash in HASHES:
            with self.subTest(hash):
                client = ScrampClient([f"SCRAM-{hash}"], "juliet", PASSWORD)
                self._scramp(client, ScramMechanism(hash, exchange(), Verona().provider))

    def test_scramp_plus(self) -> None:
        """A client of scramp logs in with every hash and tls-server-end-point."""
        binding = ("tls-server-end-point", b"hash of the certificate")
        for hash in HASHES:
            with self.subTest(hash):
                client = ScrampClient([f"SCRAM-{hash}-PLUS"], "juliet", PASSWORD, binding)
                stream = exchange(bindings=dict([binding]), offered=(f"SCRAM-{hash}-PLUS",))
                self._scramp(client, ScramMechanism(hash, stream, Verona().provider, plus=True))

    def _scramp(self, client: ScrampClient, mechanism: ScramMechanism) -> None:
        client.set_server_first(run(mechanism.step(client.get_client_first().encode())).decode())
        client.set_server_final(run(mechanism.step(client.get_client_final().encode())).decode())
        self.assertEqual(mechanism.account, JULIET)

    def test_slixmpp(self) -> None:
        """A client of slixmpp logs in, and with tls-exporter where it is given one."""
        for hash, plus in [("SHA-1", ""), ("SHA-256", ""), ("SHA-256", "-PLUS")]:
            with self.subTest(hash + plus):
                credentials = {
                    "username": b"juliet",
                    "password": PASSWORD.encode(),
                    "authzid": b"",
                    "channel_binding": EXPORTER["tls-exporter"] if plus else b"",
                }
                security = {
                    "encrypted": True,
                    "unencrypted_scram": False,
                    "binding_proposed": True,
                    "tls_version": "TLSv1.3",
                }
                name = f"SCRAM-{hash}{plus}"
                client = SLIXMPP_MECHANISMS[name](name, credentials, security)
                stream = exchange(bindings=EXPORTER, offered=(name,))
                mechanism = ScramMechanism(hash, stream, Verona().provider, plus=bool(plus))
                challenge = run(mechanism.step(client.process()))
                self.assertEqual(
                    client.process(run(mechanism.step(client.process(challenge)))), b""
                )
                self.assertEqual(mechanism.account, JULIET)


class RefusalTests(SynchronousTestCase):
    """Everybody else stays outside."""

    def _refused(
        self, client: ScramClient, stream: Exchange | None = None, *, plus: bool = False
    ) -> SASLError:
        mechanism = ScramMechanism("SHA-256", stream or exchange(), Verona().provider, plus=plus)
        try:
            server_first = run(mechanism.step(client.first()))
        except SASLError as early:
            return early
        late = refusal(mechanism.step(client.final(server_first)))
        self.assertIsNone(mechanism.account)
        return late

    def test_wrong_password(self) -> None:
        """A wrong password is not authorized, and is counted for the account."""
        error = self._refused(ScramClient(password="rosaline"))
        self.assertEqual((error.condition, error.account), ("not-authorized", JULIET))

    def test_unknown_account(self) -> None:
        """A name that nobody has fails as late, and in the same words, as a wrong password."""
        known = self._refused(ScramClient(password="rosaline"))
        unknown = self._refused(ScramClient(username="rosaline"))
        self.assertEqual((unknown.condition, unknown.text), (known.condition, known.text))

    def test_unknown_account_is_constant(self) -> None:
        """A name nobody has keeps its salt after a restart, and has it for itself."""

        def server_first(username: str) -> dict[str, str]:
            mechanism = ScramMechanism("SHA-256", exchange(), Verona().provider)
            return attributes_of(run(mechanism.step(ScramClient(username=username).first())))

        known, unknown = server_first("juliet"), server_first("rosaline")
        self.assertEqual(unknown["s"], server_first("Rosaline")["s"])
        self.assertNotEqual(unknown["s"], server_first("rosalind")["s"])
        self.assertEqual(known["i"], unknown["i"])
        self.assertEqual(len(known["s"]), len(unknown["s"]))
        self.assertEqual(known.keys(), unknown.keys())

    def test_removed(self) -> None:
        """A removed account refuses its password as any other that there is not, until it is made
        again.
        """
        verona = Verona()
        run(verona.store.accounts.delete_account(JULIET))
        mechanism, client = ScramMechanism("SHA-256", exchange(), verona.provider), ScramClient()
        server_first = run(mechanism.step(client.first()))
        self.assertNotEqual(b64decode(attributes_of(server_first)["s"]), KEYS[1].salt)
        error = refusal(mechanism.step(client.final(server_first)))
        self.assertEqual(error.condition, "not-authorized")
        run(verona.store.accounts.create_account(JULIET, KEYS))
        mechanism = ScramMechanism("SHA-256", exchange(), verona.provider)
        self.assertTrue(client.accepts(log_in(mechanism, client)))

    def test_removed_meanwhile(self) -> None:
        """An account that is removed between two messages is closed to a proof in flight."""
        verona = Verona()
        mechanism, client = ScramMechanism("SHA-256", exchange(), verona.provider), ScramClient()
        final = client.final(run(mechanism.step(client.first())))
        run(verona.store.accounts.delete_account(JULIET))
        self.assertEqual(refusal(mechanism.step(final)).condition, "not-authorized")
        self.assertIsNone(mechanism.account)

    def test_disabled(self) -> None:
        """The owner of a closed account is told so, after the proof; nobody else is."""
        for password, condition in [(PASSWORD, "account-disabled"), ("guess", "not-authorized")]:
            with self.subTest(password):
                verona = Verona()
                run(verona.store.accounts.set_disabled(JULIET, True))
                mechanism = ScramMechanism("SHA-256", exchange(), verona.provider)
                client = ScramClient(password=password)
                final = client.final(run(mechanism.step(client.first())))
                self.assertEqual(refusal(mechanism.step(final)).condition, condition)

    def test_no_keys_of_this_hash(self) -> None:
        """An account without keys for a hash looks like an unknown one under it."""
        verona = Verona()
        run(verona.store.accounts.set_keys(JULIET, KEYS[:1]))
        mechanism, client = ScramMechanism("SHA-256", exchange(), verona.provider), ScramClient()
        final = client.final(run(mechanism.step(client.first())))
        self.assertEqual(refusal(mechanism.step(final)).condition, "not-authorized")

    def test_replay(self) -> None:
        """What was right in one exchange is worth nothing in the next."""
        verona, client = Verona(), ScramClient()
        mechanism = ScramMechanism("SHA-256", exchange(), verona.provider)
        final = client.final(run(mechanism.step(client.first())))
        run(mechanism.step(final))
        again = ScramMechanism("SHA-256", exchange(), verona.provider)
        run(again.step(client.first()))
        self.assertEqual(refusal(again.step(final)).condition, "not-authorized")

    def test_another_nonce(self) -> None:
        """Who proves the password over another nonce than the server's is refused."""
        mechanism, client = ScramMechanism("SHA-256", exchange(), Verona().provider), ScramClient()
        server_first = run(mechanism.step(client.first()))
        for nonce in (b"r=another", server_first.partition(b",")[0] + b"x"):
            with self.subTest(nonce):
                final = client.final(server_first, nonce=nonce.decode())
                again = ScramMechanism(
                    "SHA-256", exchange(), Verona().provider, nonce=_server_nonce(server_first)
                )
                self.assertEqual(run(again.step(client.first())), server_first)
                self.assertEqual(refusal(again.step(final)).condition, "not-authorized")

    def test_wrong_channel(self) -> None:
        """Somebody between the ends has another channel, and fails."""
        stream = exchange(bindings=EXPORTER, offered=PLUS_OFFERED)
        client = ScramClient(gs2_header="p=tls-exporter,,", channel=b"the one of the attacker")
        self.assertEqual(self._refused(client, stream, plus=True).condition, "not-authorized")

    def test_unsupported_binding(self) -> None:
        """A type of binding that this stream does not have is refused."""
        stream = exchange(bindings=EXPORTER, offered=PLUS_OFFERED)
        client = ScramClient(gs2_header="p=tls-unique,,")
        self.assertEqual(self._refused(client, stream, plus=True).condition, "not-authorized")

    def test_downgrade(self) -> None:
        """To say "y" where -PLUS was offered says that somebody changed our list."""
        stream = exchange(bindings=EXPORTER, offered=PLUS_OFFERED)
        self.assertEqual(
            self._refused(ScramClient(gs2_header="y,,"), stream).condition, "not-authorized"
        )

    def test_flag_and_name_disagree(self) -> None:
        """-PLUS without binding, and binding without -PLUS, are both refused."""
        stream = exchange(bindings=EXPORTER, offered=PLUS_OFFERED)
        for header, plus in [("n,,", True), ("p=tls-exporter,,", False)]:
            with self.subTest(header):
                error = self._refused(ScramClient(gs2_header=header), stream, plus=plus)
                self.assertEqual(error.condition, "malformed-request")

    def test_header_changed_on_the_way(self) -> None:
        """The header is repeated under the proof, so nobody can change it on the way."""
        mechanism = ScramMechanism("SHA-256", exchange(), Verona().provider)
        server_first = run(mechanism.step(ScramClient(gs2_header="n,,").first()))
        final = ScramClient(gs2_header="y,,").final(server_first)
        self.assertEqual(refusal(mechanism.step(final)).condition, "not-authorized")

    def test_authzid_of_somebody_else(self) -> None:
        """Juliet cannot act for Romeo, nor for what is no address."""
        for authzid in (f"romeo@{DOMAIN}", DOMAIN, "@", "juliet", f"{JULIET}/balcony"):
            with self.subTest(authzid):
                error = self._refused(ScramClient(gs2_header=f"n,a={authzid},"))
                self.assertEqual(error.condition, "invalid-authzid")

    def test_impossible_name(self) -> None:
        """A name that no account can have sounds like a wrong password."""
        for username in ("romeo and juliet", "a/b", "a@b", "\u2163", "x" * 2000):
            with self.subTest(username):
                error = self._refused(ScramClient(username=username))
                self.assertEqual(error.condition, "not-authorized")

    def test_malformed_first(self) -> None:
        """What is not a client-first-message is refused as such."""
        for message in (
            b"",
            b"n,,",
            b"n,,n=juliet",
            b"n,,n=,r=abc",
            b"n,,n=juliet,r=",
            b"n,,n=juliet,r=a b",
            b"n,,m=must,n=juliet,r=abc",
            b"n,,n=juliet,r=abc,m=must",
            b"n,,n=juliet,r=abc,r=def",
            b"n,,n=jul=iet,r=abc",
            b"n,,n=jul=2ciet,r=abc",
            b"n,,n=ju\0liet,r=abc",
            b"n,a=x=y,n=juliet,r=abc",
            b"z,,n=juliet,r=abc",
            b"p=,,n=juliet,r=abc",
            b"n,,n=ju\xffliet,r=abc",
            b"n,,n=juliet,r=abc,x=",
        ):
            with self.subTest(message):
                mechanism = ScramMechanism("SHA-256", exchange(), Verona().provider)
                self.assertEqual(refusal(mechanism.step(message)).condition, "malformed-request")

    def test_malformed_final(self) -> None:
        """What is not a client-final-message, or not base64 inside, is refused as such."""
        for change in (
            lambda final: final.replace(b"c=", b"c=!"),
            lambda final: final.replace(b"c=biws", b"c=biw"),
            lambda final: final.replace(b",p=", b",m=must,p="),
            lambda final: final.partition(b",p=")[0],
            lambda final: final.partition(b",p=")[0] + b",p=",
            lambda final: final + b",x=1",
            lambda final: final + b"\n",
            lambda final: final[:-2] + b"B=",
            lambda final: final + b"=",
            lambda final: final[:-1] + b"\xff",
            lambda final: final.replace(b"c=", "c=é".encode()),
        ):
            mechanism = ScramMechanism("SHA-256", exchange(), Verona().provider)
            client = ScramClient()
            final = client.final(run(mechanism.step(client.first())))
            with self.subTest(change(final)):
                error = refusal(mechanism.step(change(final)))
                self.assertEqual(error.condition, "malformed-request")

    def test_proof_of_another_length(self) -> None:
        """A proof that is shorter or longer than the hash is just wrong."""
        for proof in (b"x", b"x" * 20, b"x" * 33):
            with self.subTest(proof):
                mechanism = ScramMechanism("SHA-256", exchange(), Verona().provider)
                client = ScramClient()
                final = client.final(run(mechanism.step(client.first())))
                forged = final.partition(b",p=")[0] + b",p=" + b64encode(proof)
                self.assertEqual(refusal(mechanism.step(forged)).condition, "not-authorized")

    def test_oversize(self) -> None:
        """A message at the limit is read, one byte more is refused."""
        mechanism = ScramMechanism("SHA-256", exchange(), Verona().provider)
        head = b"n,,n=juliet,r="
        run(mechanism.step(head + b"x" * (MAX_MESSAGE_BYTES - len(head))))
        mechanism = ScramMechanism("SHA-256", exchange(), Verona().provider)
        error = refusal(mechanism.step(head + b"x" * (MAX_MESSAGE_BYTES + 1 - len(head))))
        self.assertEqual(error.condition, "malformed-request")

    def test_nothing_after_the_end(self) -> None:
        """An exchange that is over, well or not, takes no further message."""
        mechanism, client = ScramMechanism("SHA-256", exchange(), Verona().provider), ScramClient()
        log_in(mechanism, client)
        self.assertEqual(refusal(mechanism.step(client.first())).condition, "malformed-request")
        failed = ScramMechanism("SHA-256", exchange(), Verona().provider)
        refusal(failed.step(b"nonsense"))
        self.assertEqual(refusal(failed.step(client.first())).condition, "malformed-request")


def _server_nonce(server_first: bytes) -> str:
    return attributes_of(server_first)["r"].removeprefix(ScramClient.NONCE)


class MutationTests(SynchronousTestCase):
    """A valid exchange with anything changed is no longer valid."""

    @settings(max_examples=300, deadline=None)
    @given(
        second=st.booleans(),
        position=st.integers(0, 10_000),
        removed=st.integers(0, 3),
        inserted=st.binary(max_size=3),
    )
    def test_mutations(self, second: bool, position: int, removed: int, inserted: bytes) -> None:
        """Bytes changed, added or taken away in either message never let anybody in."""

        def mutated(message: bytes) -> bytes:
            at = position % (len(message) + 1)
            return message[:at] + inserted + message[at + removed :]

        mechanism = ScramMechanism("SHA-256", exchange(offered=("PLAIN",)), Verona().provider)
        client = ScramClient()
        first = client.first() if second else mutated(client.first())
        try:
            final = client.final(run(mechanism.step(first)))
            changed = mutated(final) if second else final
            run(mechanism.step(changed))
        except SASLError:
            self.assertIsNone(mechanism.account)
        else:
            self.assertEqual((first, changed), (client.first(), final))
