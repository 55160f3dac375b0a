"""Signature 4 of AWS, in the query of a URL: the right to do one thing with one object of S3.

Spec: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Signer:
    """Signs with one key.

    Attributes:
        region: Such as ``eu-central-1``.
        key: Its id, which is no secret.
        secret: The key itself.
    """

    region: str
    key: str
    secret: str

    def url(
        self,
        method: str,
        url: str,
        now: float,
        lifetime_s: int,
        *,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
    ) -> str:
        """A URL for one kind of request.

        Args:
            method: Of the request.
            url: Of the object; its path is quoted.
            now: Seconds since 1970.
            lifetime_s: How long it is good.
            headers: Those that the request has to have as they are, beside ``Host``.
            query: What is asked for beside.
        """
        parts = urlsplit(url)
        moment = datetime.fromtimestamp(now, UTC)
        at, day = f"{moment:%Y%m%dT%H%M%SZ}", f"{moment:%Y%m%d}"
        scope = f"{day}/{self.region}/s3/aws4_request"
        signed = {"host": parts.netloc, **{name.lower(): text for name, text in headers.items()}}
        names = ";".join(sorted(signed))
        said = {
            **query,
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.key}/{scope}",
            "X-Amz-Date": at,
            "X-Amz-Expires": str(lifetime_s),
            "X-Amz-SignedHeaders": names,
        }
        pairs = [f"{_quoted(name)}={_quoted(text)}" for name, text in said.items()]
        request = "\n".join(
            (
                method,
                parts.path,
                "&".join(sorted(pairs)),
                *(f"{name}:{signed[name].strip()}" for name in sorted(signed)),
                "",
                names,
                "UNSIGNED-PAYLOAD",
            )
        )
        digest = sha256(request.encode()).hexdigest()
        signature = hmac.digest(
            self._key_for(day), f"{ALGORITHM}\n{at}\n{scope}\n{digest}".encode(), "sha256"
        ).hex()
        return f"{url}?{'&'.join(pairs)}&X-Amz-Signature={signature}"

    def _key_for(self, day: str) -> bytes:
        made = f"AWS4{self.secret}".encode()
        for word in (day, self.region, "s3", "aws4_request"):
            made = hmac.digest(made, word.encode(), "sha256")
        return made


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


__all__ = ["Signer"]
