"""Messages of SASL: their limits, their text and the account in them, for all mechanisms."""

from xmppd.auth.base import AuthProvider, SASLError
from xmppd.stanza import JID

MAX_MESSAGE_BYTES = 8_192


def text_of(response: bytes) -> str:
    """The message as text.

    Raises:
        SASLError: ``malformed-request`` if it is too long or not UTF-8.
    """
    if len(response) > MAX_MESSAGE_BYTES:
        raise malformed(f"longer than {MAX_MESSAGE_BYTES} bytes")
    try:
        return response.decode()
    except UnicodeDecodeError as error:
        raise malformed("not UTF-8") from error


def malformed(what: str) -> SASLError:
    """The error for a message outside the grammar of its mechanism (:rfc:`6120#section-6.5.9`)."""
    return SASLError("malformed-request", f"The message is {what}.")


def not_authorized(account: str | None = None) -> SASLError:
    """The one error for a wrong password and an unknown account."""
    return SASLError("not-authorized", "The credentials are invalid.", account=account)


def account_of(username: str, domain: str) -> str:
    """The account of a simple user name (:rfc:`6120#section-6.3.7`).

    Raises:
        SASLError: ``not-authorized``: no account can have this name.
    """
    try:
        return JID.of(username, domain).bare
    except ValueError as error:
        raise not_authorized() from error


def check_authzid(authzid: str, account: str) -> None:
    """Refuse an authorization identity that is neither the client's own nor empty.

    Raises:
        SASLError: ``invalid-authzid`` (:rfc:`6120#section-6.5.6`).
    """
    if authzid and address_of(authzid) != account:
        raise SASLError("invalid-authzid", "You may act only for yourself.")


def address_of(authzid: str) -> str:
    """The address of an authorization identity, prepared (:rfc:`6120#section-6.3.8`).

    Raises:
        SASLError: ``invalid-authzid``: it is no JID.
    """
    try:
        return JID.parse(authzid).full
    except ValueError as error:
        raise SASLError("invalid-authzid", "The authorization identity is not a JID.") from error


async def admit(provider: AuthProvider, account: str) -> str:
    """The account again, now that it has proved itself, if it may log in.

    Raises:
        SASLError: ``not-authorized`` or ``account-disabled``: it may not.
    """
    if not await provider.may_log_in(account):
        raise not_authorized(account)
    return account
