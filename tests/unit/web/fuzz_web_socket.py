"""Compare our reader of WebSocket's frames with that of the library websockets.

``python -m tests.unit.web.fuzz_web_socket FRAMES [SEED]`` makes up so many frames, right and wrong
ones, in any pieces; it stops at the first difference and says which seed leads there.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random, SystemRandom

from websockets.frames import Close, Frame
from websockets.frames import Opcode as Theirs
from websockets.protocol import State
from websockets.server import ServerProtocol

from xmppd.web.web_socket import (
    MAX_FRAGMENTS,
    CloseCode,
    MessageReader,
    Opcode,
    WebSocketError,
    close_frame,
    frame,
    unmasked,
)

MAX_BYTES = 300
TEXTS = (b"", b"a", b"<presence/>", "ay ♥ 𝄞".encode(), b"x" * 125, b"y" * 126, b"z" * 299)
TORN = (b"\xff", b"\xc3", "♥".encode()[:2], b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x80")


@dataclass(frozen=True)
class Heard:
    """What a reader makes of some bytes.

    Attributes:
        messages: The messages and control frames before the end.
        code: Why it ends; None if it goes on.
    """

    messages: tuple[tuple[int, bytes], ...]
    code: int | None


def masked(random: Random, first: int, payload: bytes) -> bytes:
    """A frame as a client sends it; the length of a text may take more bytes than it has to."""
    size = len(payload)
    is_control = first & 0x0F >= Opcode.CLOSE
    if size <= 125 and (is_control or random.random() < 0.97):
        head = bytes((first, 0x80 | size))
    elif size < 1 << 16 and random.random() < 0.97:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2)
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8)
    mask = random.randbytes(4)
    return head + mask + unmasked(mask, payload, len(payload))


def some_frames(random: Random, count: int) -> Iterator[bytes]:
    """Frames of a client, most of them right."""
    open_message = False
    for _ in range(count):
        dice = random.random()
        if dice < 0.02:  # bits that are wrong
            first = random.randrange(256)
            if first & 0x0F != Opcode.CLOSE:  # of which the library reads the code as well
                if first & 0x7F == (Opcode.CONTINUATION if open_message else Opcode.TEXT):
                    open_message = not first & 0x80  # by chance it is right
                yield masked(random, first, random.choice(TEXTS)[:125])
        elif dice < 0.03:  # without a mask
            text = random.choice(TEXTS)[:100]
            yield bytes((0x81, len(text))) + text
        elif dice < 0.05:
            yield masked(random, 0x81, b"w" * random.randrange(MAX_BYTES, MAX_BYTES + 3))
        elif dice < 0.15:
            kind = random.choice((Opcode.PING, Opcode.PONG))
            yield masked(random, 0x80 | kind, random.choice(TEXTS)[:125])
        elif dice < 0.17 and not open_message:  # amid one, the library takes it for a mistake
            yield masked(random, 0x88, random.choice((b"", b"\x03\xe8", b"\x03\xe9bye")))
        else:
            text = random.choice(TORN) if dice > 0.98 else random.choice(TEXTS)
            if random.random() < 0.2:
                text = text[: random.randrange(len(text) + 1)]
            final = random.random() < 0.7
            first = (Opcode.CONTINUATION if open_message else Opcode.TEXT) | (0x80 if final else 0)
            open_message = not final
            yield masked(random, first, text)


def pieces(random: Random, data: bytes) -> Iterator[bytes]:
    """The same bytes, torn somehow."""
    at = 0
    while at < len(data):
        size = random.choice((1, 2, 3, 7, 64, 1 << 20))
        yield data[at : at + size]
        at += size


def ours(parts: list[bytes]) -> Heard:
    """What our reader hears."""
    reader = MessageReader(lambda: MAX_BYTES)
    heard: list[tuple[int, bytes]] = []
    for part in parts:
        try:
            alone = reader.alone(part)
            if alone is not None:
                heard.append((int(Opcode.TEXT), alone))
                continue
            for opcode, payload in reader.read(part):
                heard.append((int(opcode), payload))
                if opcode is Opcode.CLOSE:
                    return Heard(tuple(heard), None)
        except WebSocketError as error:
            return Heard(tuple(heard), int(error.code))
    return Heard(tuple(heard), None)


def theirs(parts: list[bytes]) -> Heard:
    """What the library hears, its fragments put together. It would hold pings against the size of
    a message as well, so that the size is looked at here.
    """
    library = ServerProtocol(state=State.OPEN, max_size=None)
    heard: list[tuple[int, bytes]] = []
    message: list[bytes] = []
    for part in parts:
        library.receive_data(part)
        for event in library.events_received():
            assert isinstance(event, Frame)
            if event.opcode in (Theirs.TEXT, Theirs.CONT, Theirs.BINARY):
                if event.opcode is Theirs.BINARY:
                    return Heard(tuple(heard), CloseCode.UNSUPPORTED)
                message.append(bytes(event.data))
                if sum(map(len, message)) > MAX_BYTES:
                    return Heard(tuple(heard), CloseCode.TOO_LARGE)
                if len(message) > MAX_FRAGMENTS:
                    return Heard(tuple(heard), CloseCode.POLICY)
                if event.fin:
                    whole = b"".join(message)
                    message.clear()
                    try:
                        whole.decode()
                    except UnicodeDecodeError:
                        return Heard(tuple(heard), CloseCode.NOT_UTF8)
                    heard.append((Opcode.TEXT, whole))
            else:
                heard.append((int(event.opcode), bytes(event.data)))
                if event.opcode is Theirs.CLOSE:
                    return Heard(tuple(heard), None)
        if library.parser_exc is not None:
            code = library.close_sent or Close(1002, "")
            return Heard(tuple(heard), code.code)
    return Heard(tuple(heard), None)


def difference(seed: int, frames: int) -> str:
    """How the two differ over the frames of a seed; empty if they do not."""
    random = Random(seed)
    parts = list(pieces(random, b"".join(some_frames(random, frames))))
    mine, other = ours(parts), theirs(parts)
    if mine.code == CloseCode.UNSUPPORTED and other.code == CloseCode.PROTOCOL_ERROR:
        mine = Heard(mine.messages, CloseCode.PROTOCOL_ERROR)  # binary, and at the wrong place
    return "" if mine == other else f"seed {seed}: ours {mine}, theirs {other}"


def written_alike(random: Random) -> bool:
    """Whether the library reads what we write."""
    payload = random.choice(TEXTS) * random.choice((1, 1, 1, 300))
    data = frame(Opcode.TEXT, payload) + frame(Opcode.PING, b"p") + close_frame(CloseCode.NORMAL)
    from_library = b"".join(
        Frame(opcode, text).serialize(mask=False)
        for opcode, text in (
            (Theirs.TEXT, payload),
            (Theirs.PING, b"p"),
            (Theirs.CLOSE, Close(1000, "").serialize()),
        )
    )
    return data == from_library


def main(frames: int, seed: int) -> None:
    """Compare as many."""
    done, first = 0, seed
    while done < frames:
        count = Random(seed).randint(1, 40)
        said = difference(seed, count)
        if said or not written_alike(Random(seed)):
            sys.exit(f"after {done} frames: {said or 'what we write differs'} (FRAMES={count})")
        done, seed = done + count, seed + 1
    print(f"{done} frames alike, seeds {first} to {seed - 1}")  # noqa: T201


if __name__ == "__main__":
    main(
        int(sys.argv[1]),
        int(sys.argv[2]) if len(sys.argv) > 2 else SystemRandom().randrange(1 << 40),
    )


__all__ = ["difference", "written_alike"]
