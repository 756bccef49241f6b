"""Every form in which addresses hold user names and passwords, with what of them must show nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

USER = "h4nsadm1n"
SECRET = "S3CRET"


class Form(NamedTuple):
    """A way to write a password into an address; ``HOST`` stands for the host."""

    name: str
    address: str

    def at(self, scheme: str, host: str, path: str = "live") -> str:
        """The address of that form at a host."""
        return f"{scheme}://{self.address}".replace("HOST", host).replace("PATH", path)


def _with_password(password: str) -> str:
    return f"{USER}:{password}@HOST/PATH"


FORMS = tuple(
    Form(name, address)
    for name, address in {
        "plain": _with_password(SECRET),
        "slash": _with_password(f"a/{SECRET}"),
        "at": _with_password(f"a@{SECRET}"),
        "at first": _with_password(f"@{SECRET}"),
        "colon": _with_password(f"a:{SECRET}"),
        "hash": _with_password(f"a#{SECRET}"),
        "question": _with_password(f"a?{SECRET}"),
        "percent": _with_password(f"100%{SECRET}"),
        "encoded": _with_password(quote(f"a@/{SECRET}", safe="")),
        "space": _with_password(f"my {SECRET}"),
        "quotation mark": _with_password(f"my\"'{SECRET}"),
        "digits and slash": _with_password(f"12/{SECRET}"),
        "user alone": f"{USER}{SECRET}@HOST/PATH",
        "query": f"HOST/PATH?user={USER}&password={SECRET}&channel=1",
        "query, short words": f"HOST/PATH?usr={USER}&pwd={SECRET}",
        "query, capitals": f"HOST/PATH?USERNAME={USER}&PassWord={SECRET}",
        "query, a maker's own": f"HOST/PATH?loginuse={USER}&loginpas={SECRET}",
        "query, unknown word": f"HOST/PATH?zugang={SECRET}",
        "query, encoded": f"HOST/PATH?a=1%26password%3D{SECRET}",
        "query, in pieces": f"HOST/PATH?password=1/{SECRET}#2&channel=1",
        "query, cut": f"HOST/PATH?password=1&{SECRET}&channel=1",
        "query, bare": f"HOST/PATH?{SECRET}",
        "token": f"HOST/PATH?token={SECRET}",
        "key": f"HOST/PATH?key={SECRET}",
        "auth": f"HOST/PATH?auth={SECRET}#t=3",
        "signed": f"HOST/PATH?X-Amz-Credential={USER}%2F2026&X-Amz-Signature={SECRET}&Expires=300",
        "path": f"HOST/user={USER}&password={SECRET}&channel=1&stream=0.sdp?",
        "path, underscores": f"HOST/user={USER}_password={SECRET}_channel=1_stream=0.sdp?real_stream",
        "path, harmless first": f"HOST/channel=1_password={SECRET}_user={USER}",
        "path, semicolons": f"HOST/PATH;user={USER};pwd={SECRET}",
        "path, alone": f"HOST/cam/realmonitor/auth={SECRET}",
        "path, slash": f"HOST/user={USER}&password=1/{SECRET}&channel=1",
        "path, web token": f"HOST/eyJhbGciOiJIUzI1NiJ9.{SECRET}abc.{SECRET}/PATH",
        "address in a query": f"HOST/PATH?src=rtsp%3A%2F%2F{USER}%3A{SECRET}%40inner",
        "address in a path": f"HOST/rtsp://{USER}:{SECRET}@inner/PATH",
        "encoded address in a path": f"HOST/rtsp%3A%2F%2F{USER}%3A{SECRET}%40inner%2FPATH",
    }.items()
)


def shown_secrets(text: str | bytes) -> Iterator[str]:
    """What of user names and passwords is in a text, as it is or in another writing."""
    held = text.decode(errors="replace") if isinstance(text, bytes) else text
    for secret in (USER, SECRET):
        for written in (secret, "".join(f"%{ord(letter):02X}" for letter in secret)):
            if written.lower() in held.lower():
                yield written
