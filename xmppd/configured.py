"""What the configuration says, in the words of those it is said to."""

import sys
from dataclasses import replace

from msgspec import structs

from xmppd.config.config import Auth, Config
from xmppd.net.connection_handler import WireLimits
from xmppd.net.listen_endpoint import tls_settings
from xmppd.net.listeners import AdmissionLimits
from xmppd.net.tls import TLSSettings
from xmppd.resolve.targets import Directions, Target
from xmppd.session.resumable_sessions import ResumptionLimits
from xmppd.session.stream_management import QueueLimits
from xmppd.stream.stream_parser import ParserLimits

WRAPPED_DEPTH = 16
"""Levels that others may have put around what their users said."""


def wire_limits(config: Config) -> WireLimits:
    """What one connection may take, as configured."""
    stream = config.stream
    return WireLimits(
        unauthenticated=ParserLimits(
            max_stanza_bytes=stream.max_preauth_stanza_bytes,
            max_depth=stream.max_depth,
            max_attributes=stream.max_attributes,
        ),
        authenticated=ParserLimits(
            max_stanza_bytes=stream.max_stanza_bytes,
            max_depth=stream.max_depth,
            max_attributes=stream.max_attributes,
        ),
        stanzas_per_s=stream.stanzas_per_s,
        stanzas_burst=stream.stanzas_burst,
        bytes_per_s=stream.bytes_per_s,
        bytes_burst=stream.bytes_burst,
        close_timeout_s=stream.close_timeout_s,
        max_queued_bytes=stream.max_queued_bytes,
    )


def resumption_limits(config: Config) -> ResumptionLimits:
    """How long sessions stay without a wire, as configured."""
    management = config.stream_management
    return ResumptionLimits(
        QueueLimits(
            max_stanzas=management.max_unacked_stanzas,
            max_bytes=management.max_unacked_bytes,
            ack_every_stanzas=management.ack_every_stanzas,
            ack_after_s=management.ack_after_s,
        ),
        resume_s=management.resume_s,
        max_per_account=management.max_detached_per_account,
    )


def component_wire_limits(config: Config) -> WireLimits:
    """What one connection of a component may take, as configured."""
    stream, wire = config.component_stream, wire_limits(config)
    return replace(
        wire,
        authenticated=passed_on(wire.authenticated),
        stanzas_per_s=stream.stanzas_per_s,
        stanzas_burst=stream.stanzas_per_s,
        bytes_per_s=stream.bytes_per_s,
        bytes_burst=stream.bytes_per_s,
    )


def never_locked(auth: Auth) -> Auth:
    """The same limits for components: their addresses are slowed down, and never sent away."""
    return structs.replace(auth, failures_before_lockout=sys.maxsize)


def admission_limits(config: Config) -> AdmissionLimits:
    """How many come in, as configured."""
    stream = config.stream
    return AdmissionLimits(
        negotiation_timeout_s=stream.negotiation_timeout_s,
        idle_timeout_s=stream.idle_timeout_s,
        ping_timeout_s=stream.ping_timeout_s,
        max_unauthenticated=stream.max_unauthenticated,
        max_streams_per_address=stream.max_streams_per_address,
    )


def passed_on(limits: ParserLimits) -> ParserLimits:
    """What those may send who pass on what others have said to them.

    They add addresses, write anew, and put one stanza inside of another; nothing that their users
    may say to them shall end a stream that many use.
    """
    return ParserLimits(
        max_stanza_bytes=2 * limits.max_stanza_bytes,
        max_depth=limits.max_depth + WRAPPED_DEPTH,
        max_attributes=2 * limits.max_attributes,
    )


def server_wire_limits(config: Config) -> WireLimits:
    """What one connection with another server may take, as configured."""
    s2s, wire = config.s2s, wire_limits(config)
    return replace(
        wire,
        authenticated=passed_on(wire.authenticated),
        stanzas_per_s=s2s.stanzas_per_s,
        stanzas_burst=s2s.stanzas_burst,
        bytes_per_s=s2s.bytes_per_s,
        bytes_burst=s2s.bytes_burst,
    )


def server_admission_limits(config: Config) -> AdmissionLimits:
    """How many servers come in, as configured."""
    s2s = config.s2s
    return replace(
        admission_limits(config),
        idle_timeout_s=s2s.idle_timeout_s,
        max_unauthenticated=s2s.max_unauthenticated,
        max_streams_per_address=s2s.max_streams_per_address,
    )


def outgoing_tls_settings(config: Config) -> TLSSettings:
    """What other servers are shown, as configured."""
    tls = config.tls
    return tls_settings(config) or TLSSettings((), tls.minimum_version, tls.ciphers)


def directions(config: Config) -> Directions:
    """Where other servers may be, as configured."""
    known = {
        remote.name: (Target(remote.host, remote.port, remote.direct_tls),)
        for remote in config.s2s.domain
        if remote.host
    }
    return Directions(known, config.s2s.allow_private)
