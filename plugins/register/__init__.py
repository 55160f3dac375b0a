"""XEP-0077: In-Band Registration. Clients make accounts, and owners end theirs."""

from xmppd.account.accounts import Accounts
from xmppd.auth.provider import Passwords
from xmppd.config.config import RegistrationSettings, TLSSettings
from xmppd.config.settings import Settings
from xmppd.host.clocks import Clocks
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import Part
from xmppd.stream.stream_feature import Stream, StreamFeature

from .iq import IQRegisterHandler
from .registration import SelfRegistration


def plug(
    accounts: Accounts,
    passwords: Passwords,
    settings: RegistrationSettings,
    tls: TLSSettings,
    clocks: Clocks,
) -> list[Part]:
    """The parts of this feature."""
    registration = SelfRegistration(accounts, passwords, settings, clocks.seconds)
    handler = IQRegisterHandler(registration, tls.required)
    return [
        Offer(registration),
        handler,
        Settings(RegistrationSettings, registration.use),
        StreamFeature(
            handler.advertise,
            needs=Stream.SECURE if tls.required else Stream.NEW,
            unless=Stream.AUTHENTICATED,
        ),
    ]
