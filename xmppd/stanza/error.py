"""Errors of stanzas and streams: their conditions, and their elements."""

from enum import Enum


class ErrorType(Enum):
    """The type of a stanza error: what its sender should do (:rfc:`6120#section-8.3.2`)."""

    AUTH = "auth"
    CANCEL = "cancel"
    CONTINUE = "continue"
    MODIFY = "modify"
    WAIT = "wait"


class Condition(Enum):
    """The stanza error conditions of :rfc:`6120#section-8.3.3`, each with its usual type."""

    BAD_REQUEST = "bad-request", ErrorType.MODIFY
    CONFLICT = "conflict", ErrorType.CANCEL
    FEATURE_NOT_IMPLEMENTED = "feature-not-implemented", ErrorType.CANCEL
    FORBIDDEN = "forbidden", ErrorType.AUTH
    GONE = "gone", ErrorType.CANCEL
    INTERNAL_SERVER_ERROR = "internal-server-error", ErrorType.CANCEL
    ITEM_NOT_FOUND = "item-not-found", ErrorType.CANCEL
    JID_MALFORMED = "jid-malformed", ErrorType.MODIFY
    NOT_ACCEPTABLE = "not-acceptable", ErrorType.MODIFY
    NOT_ALLOWED = "not-allowed", ErrorType.CANCEL
    NOT_AUTHORIZED = "not-authorized", ErrorType.AUTH
    POLICY_VIOLATION = "policy-violation", ErrorType.MODIFY
    RECIPIENT_UNAVAILABLE = "recipient-unavailable", ErrorType.WAIT
    REDIRECT = "redirect", ErrorType.MODIFY
    REGISTRATION_REQUIRED = "registration-required", ErrorType.AUTH
    REMOTE_SERVER_NOT_FOUND = "remote-server-not-found", ErrorType.CANCEL
    REMOTE_SERVER_TIMEOUT = "remote-server-timeout", ErrorType.WAIT
    RESOURCE_CONSTRAINT = "resource-constraint", ErrorType.WAIT
    SERVICE_UNAVAILABLE = "service-unavailable", ErrorType.CANCEL
    SUBSCRIPTION_REQUIRED = "subscription-required", ErrorType.AUTH
    UNDEFINED_CONDITION = "undefined-condition", ErrorType.CANCEL
    UNEXPECTED_REQUEST = "unexpected-request", ErrorType.WAIT

    def __init__(self, tag: str, usual: ErrorType) -> None:
        self.tag = tag
        self.usual = usual


class StanzaError(Exception):
    """An error for the sender of a stanza.

    Args:
        condition: What went wrong.
        text: A sentence for people, if the condition alone does not tell.
        type: What to do about it, where it differs from the condition's usual type.
        application: ``(namespace, name)`` of an application-specific condition.
        attribute: ``(name, value)`` of an attribute that this has.
        uri: With GONE and REDIRECT, where to go instead (:rfc:`6120#section-8.3.3.5`).

    Attributes:
        inner: XML that the application-specific condition contains.
    """

    inner = ""

    def __init__(
        self,
        condition: Condition,
        text: str | None = None,
        *,
        type: ErrorType | None = None,
        application: tuple[str, str] | None = None,
        attribute: tuple[str, str] | None = None,
        uri: str = "",
    ) -> None:
        super().__init__(condition.tag, text)
        self.condition = condition
        self.text = text
        self.type = type or condition.usual
        self.application = application
        self.attribute = attribute
        self.uri = uri

    def untraced(self) -> "StanzaError":
        """The same without its traceback, so that it can be kept."""
        error = StanzaError(
            self.condition,
            self.text,
            type=self.type,
            application=self.application,
            attribute=self.attribute,
            uri=self.uri,
        )
        error.inner = self.inner
        return error


class StreamCondition(Enum):
    """The stream error conditions of :rfc:`6120#section-4.9.3`."""

    BAD_FORMAT = "bad-format"
    BAD_NAMESPACE_PREFIX = "bad-namespace-prefix"
    CONFLICT = "conflict"
    CONNECTION_TIMEOUT = "connection-timeout"
    HOST_GONE = "host-gone"
    HOST_UNKNOWN = "host-unknown"
    IMPROPER_ADDRESSING = "improper-addressing"
    INTERNAL_SERVER_ERROR = "internal-server-error"
    INVALID_FROM = "invalid-from"
    INVALID_NAMESPACE = "invalid-namespace"
    INVALID_XML = "invalid-xml"
    NOT_AUTHORIZED = "not-authorized"
    NOT_WELL_FORMED = "not-well-formed"
    POLICY_VIOLATION = "policy-violation"
    REMOTE_CONNECTION_FAILED = "remote-connection-failed"
    RESET = "reset"
    RESOURCE_CONSTRAINT = "resource-constraint"
    RESTRICTED_XML = "restricted-xml"
    SEE_OTHER_HOST = "see-other-host"
    SYSTEM_SHUTDOWN = "system-shutdown"
    UNDEFINED_CONDITION = "undefined-condition"
    UNSUPPORTED_ENCODING = "unsupported-encoding"
    UNSUPPORTED_FEATURE = "unsupported-feature"
    UNSUPPORTED_STANZA_TYPE = "unsupported-stanza-type"
    UNSUPPORTED_VERSION = "unsupported-version"


class StreamError(Exception):
    """An error that ends a stream: the peer is told why, and the stream is closed.

    Args:
        condition: What went wrong.
        text: A sentence for people, if the condition alone does not tell.
        application: An application-specific condition, as an element.
        other_host: With SEE_OTHER_HOST, host and port to connect to
            (:rfc:`6120#section-4.9.3.19`).
        other_url: With SEE_OTHER_HOST, the URL below which a client that came by HTTP finds its
            streams (:rfc:`7395#section-3.6.1`).
    """

    def __init__(
        self,
        condition: StreamCondition,
        text: str | None = None,
        *,
        application: str = "",
        other_host: str = "",
        other_url: str = "",
    ) -> None:
        super().__init__(condition.value, text)
        self.condition = condition
        self.text = text
        self.application = application
        self.other_host = other_host
        self.other_url = other_url

    def untraced(self) -> "StreamError":
        """The same without its traceback, so that it can be kept."""
        return StreamError(
            self.condition,
            self.text,
            application=self.application,
            other_host=self.other_host,
            other_url=self.other_url,
        )
