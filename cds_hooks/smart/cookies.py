"""What the browser carries of launches: one cookie for each, so that no two patients mix.

The cookie of a launch goes to that launch's pages alone, and closes when nobody used it for a
while. Beside it a list of launches bounds how many there are.
"""

from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from flask import Request, Response

from cds_hooks.config.settings import Settings
from cds_hooks.security.encryption import Seal
from cds_hooks.smart.launch import LAUNCH_SECONDS, Begun, Launched, LaunchRefused

MOST_BEGUN = 4  # launches that wait for their callback
MOST_LAUNCHED = 8
PIECE = 3800  # characters of a cookie; browsers keep 4096 with its name
PIECES = 2  # and proxies let no more than 8 kB of cookies through


class LaunchCookies:
    """Puts launches into answers, and finds them in requests."""

    def __init__(self, settings: Settings, key: bytes) -> None:
        parts = urlsplit(settings.base_url)
        self.path = f"{parts.path}/smart"
        self._is_secure = parts.scheme == "https"
        prefix = "__Secure-cobalamin" if self._is_secure else "cobalamin"
        self._begun, self._launched = f"{prefix}-launching-", f"{prefix}-launched-"
        self._list = f"{prefix}-launches"
        self._idle = settings.pages.idle_minutes * 60
        self._seal = {kind: Seal(key, kind) for kind in ("begun", "launched", "list")}

    def put_begun(
        self, response: Response, request: Request, begun: Begun, now: float, *, framed: bool
    ) -> None:
        """Remembers a launch until its callback; the oldest of many is forgotten."""
        waiting = [name for name in request.cookies if name.startswith(self._begun)]
        waiting.sort(key=lambda name: self._seal["begun"].age(request.cookies[name], now))
        for name in waiting[MOST_BEGUN - 1 :]:
            self._drop(response, name, self.path, framed=framed)
        text = self._seal["begun"].closed(asdict(begun), now)
        self._put(response, self._begun + begun.id, text, self.path, LAUNCH_SECONDS, framed=framed)

    def begun(self, request: Request, id_: str, now: float) -> Begun | None:
        """The launch that waits for the callback now here; None where there is none."""
        text = request.cookies.get(self._begun + id_, "")
        found = self._seal["begun"].opened(text, LAUNCH_SECONDS, now)
        return None if found is None else Begun(**found)

    def drop_begun(self, response: Response, id_: str, *, framed: bool) -> None:
        """A launch is answered once."""
        self._drop(response, self._begun + id_, self.path, framed=framed)

    def put_launched(
        self, response: Response, request: Request, launched: Launched, now: float, *, framed: bool
    ) -> None:
        """A new launch; of more than there may be, the oldest ends.

        Raises LaunchRefused for a token that no cookie holds.
        """
        listed = self._seal["list"].opened(request.cookies.get(self._list, ""), 1 << 31, now)
        ids: list[str] = [*(listed or {}).get("ids", ()), launched.id]
        for old in ids[:-MOST_LAUNCHED]:
            self.drop_launched(response, old, framed=framed)
        text = self._seal["list"].closed({"ids": ids[-MOST_LAUNCHED:]}, now)
        self._put(response, self._list, text, self.path, None, framed=framed)
        self.renew(response, launched, now, framed=framed)

    def renew(self, response: Response, launched: Launched, now: float, *, framed: bool) -> None:
        """Lets a launch that is used live on, to the end of its access at most."""
        text = self._seal["launched"].closed(asdict(launched), now)
        pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
        if len(pieces) > PIECES:
            raise LaunchRefused("The EHR's token is longer than a browser keeps.", ["token"])
        seconds = max(int(launched.ends - now), 0)
        for place, piece in enumerate(pieces):
            name = f"{self._launched}{launched.id}.{place}"
            self._put(response, name, piece, self._home(launched.id), seconds, framed=framed)

    def launched(self, request: Request, id_: str, now: float) -> Launched | None:
        """The launch with this id, in this browser; None for none, and for one that has ended."""
        names = [f"{self._launched}{id_}.{place}" for place in range(PIECES)]
        text = "".join(request.cookies.get(name, "") for name in names)
        found = self._seal["launched"].opened(text, self._idle, now)
        launched = None if found is None else Launched(**found)
        return launched if launched and launched.id == id_ and launched.ends > now else None

    def holds(self, request: Request, id_: str) -> bool:
        """Whether the browser brought anything for this launch, ended or not."""
        return f"{self._launched}{id_}.0" in request.cookies

    def drop_launched(self, response: Response, id_: str, *, framed: bool) -> None:
        for place in range(PIECES):
            self._drop(response, f"{self._launched}{id_}.{place}", self._home(id_), framed=framed)

    def _home(self, id_: str) -> str:
        return f"{self.path}/p/{id_}/"

    def _put(
        self,
        response: Response,
        name: str,
        value: str,
        path: str,
        seconds: int | None,
        *,
        framed: bool,
    ) -> None:
        response.set_cookie(
            name, value, max_age=seconds, path=path, httponly=True, **self._site(framed)
        )

    def _drop(self, response: Response, name: str, path: str, *, framed: bool) -> None:
        response.delete_cookie(name, path=path, httponly=True, **self._site(framed))

    def _site(self, framed: bool) -> dict[str, Any]:
        """In an EHR's frame we are third party: the cookie is then that EHR's frames' alone."""
        if framed and self._is_secure:
            return {"secure": True, "samesite": "None", "partitioned": True}
        return {"secure": self._is_secure, "samesite": "Lax"}
