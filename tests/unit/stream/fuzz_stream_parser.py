"""Compare the stream parser with plain expat for as long as you like.

``python -m tests.unit.stream.fuzz_stream_parser SECONDS [SEED]`` stops at the first difference and
says which seed leads there.
"""

import sys
import time
from random import Random, SystemRandom

from tests.unit.stream.stream_cases import CASES, END, HEADER
from tests.unit.stream.stream_reference import FRAGMENTS, WRONG, cut, differences

SAMPLES = [case.data.removeprefix(HEADER) for case in CASES if case.data.startswith(HEADER)]


def fragments(random: Random) -> bytes:
    """Pieces of XML in any order."""
    pool = random.choice((FRAGMENTS, FRAGMENTS + WRONG))
    return b"".join(random.choices(pool, k=random.randint(1, 25)))


def nested(random: Random) -> bytes:
    """Pieces of XML in which most of what opens is closed."""
    out, names = [], list[bytes]()
    for _ in range(random.randint(1, 40)):
        piece = random.choice(FRAGMENTS)
        if piece.startswith(b"</"):
            if not names:
                continue
            piece = b"</" + names.pop() + b">"
        elif piece.startswith(b"<") and piece.count(b"<") == 1 and not piece.endswith(b"/>"):
            names.append(piece[1:-1].split()[0])
        out.append(piece)
    return b"".join(out) + b"".join(b"</" + name + b">" for name in reversed(names))


def mutated(random: Random) -> bytes:
    """A known stream with a few bytes changed."""
    data = bytearray(random.choice(SAMPLES)[:2000])
    for _ in range(random.randint(0, 3)):
        at = random.randint(0, len(data))
        data[at : at + random.randint(0, 3)] = random.choice((b"", b"<", b">", b"'", b"&", b"\n"))
    return bytes(data)


def main(seconds: float, seed: int) -> int:
    """Compare until the time is over; how many streams agreed."""
    until = time.monotonic() + seconds
    agreed = 0
    while time.monotonic() < until:
        random = Random(seed + agreed)
        data = random.choice((fragments, nested, mutated))(random) + END
        found = differences(data, cut(data, random))
        if found:
            sys.exit(f"seed {seed + agreed}: {data!r}: {found}")
        agreed += 1
    return agreed


if __name__ == "__main__":
    first = int(sys.argv[2]) if len(sys.argv) > 2 else SystemRandom().randrange(2**32)
    agreed = main(float(sys.argv[1]), first)
    sys.stdout.write(f"{agreed} streams from seed {first} on, no difference\n")
