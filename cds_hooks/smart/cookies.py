"""What the browser carries of launches: one cookie for each, so that no two patients mix.

The cookie of a launch goes to that launch's pages alone, and closes when nobody used it for a
while. Beside it a list of launches bounds how many there are.
"""

from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from flask import Request, Response

from cds_hooks.config.settings import Settings
from cds_hooks.security.encryption import CookieCipher
from cds_hooks.smart.launch import LAUNCH_SECONDS, LaunchError, LaunchToken, PendingLaunch

MAX_PENDING = 4  # launches that wait for their callback
MAX_LAUNCHES = 8
MAX_PIECE_LENGTH = 3800  # characters of a cookie; browsers keep 4096 with its name
MAX_PIECES = 2  # and proxies let no more than 8 kB of cookies through


class LaunchCookies:
    """Puts launches into answers, and finds them in requests."""

    def __init__(self, settings: Settings, key: bytes) -> None:
        parts = urlsplit(settings.base_url)
        self.path = f"{parts.path}/smart"
        self._is_secure = parts.scheme == "https"
        prefix = "__Secure-cobalamin" if self._is_secure else "cobalamin"
        self._pending_prefix, self._launch_prefix = f"{prefix}-launching-", f"{prefix}-launched-"
        self._list_name = f"{prefix}-launches"
        self._idle_seconds = settings.pages.idle_minutes * 60
        self._ciphers = {kind: CookieCipher(key, kind) for kind in ("begun", "launched", "list")}

    def put_pending(
        self,
        response: Response,
        request: Request,
        pending: PendingLaunch,
        now: float,
        *,
        framed: bool,
    ) -> None:
        """Remembers a launch until its callback; the oldest of many is forgotten."""
        waiting = [name for name in request.cookies if name.startswith(self._pending_prefix)]
        waiting.sort(key=lambda name: self._ciphers["begun"].get_age(request.cookies[name], now))
        for name in waiting[MAX_PENDING - 1 :]:
            self._drop(response, name, self.path, framed=framed)
        text = self._ciphers["begun"].encrypt(asdict(pending), now)
        self._put(
            response,
            self._pending_prefix + pending.id,
            text,
            self.path,
            LAUNCH_SECONDS,
            framed=framed,
        )

    def read_pending(self, request: Request, id_: str, now: float) -> PendingLaunch | None:
        """The launch that waits for the callback now here; None where there is none."""
        text = request.cookies.get(self._pending_prefix + id_, "")
        members = self._ciphers["begun"].decrypt(text, LAUNCH_SECONDS, now)
        return None if members is None else PendingLaunch(**members)

    def drop_pending(self, response: Response, id_: str, *, framed: bool) -> None:
        """A launch is answered once."""
        self._drop(response, self._pending_prefix + id_, self.path, framed=framed)

    def put_launch(
        self,
        response: Response,
        request: Request,
        launch: LaunchToken,
        now: float,
        *,
        framed: bool,
    ) -> None:
        """A new launch; of more than there may be, the oldest ends.

        Raises LaunchRefused for a token that no cookie holds.
        """
        launch_list = self._ciphers["list"].decrypt(
            request.cookies.get(self._list_name, ""), 1 << 31, now
        )
        ids: list[str] = [*(launch_list or {}).get("ids", ()), launch.id]
        for old in ids[:-MAX_LAUNCHES]:
            self.drop_launch(response, old, framed=framed)
        text = self._ciphers["list"].encrypt({"ids": ids[-MAX_LAUNCHES:]}, now)
        self._put(response, self._list_name, text, self.path, None, framed=framed)
        self.renew_launch(response, launch, now, framed=framed)

    def renew_launch(
        self, response: Response, launch: LaunchToken, now: float, *, framed: bool
    ) -> None:
        """Lets a launch that is used live on, to the end of its access at most."""
        text = self._ciphers["launched"].encrypt(asdict(launch), now)
        pieces = [
            text[start : start + MAX_PIECE_LENGTH]
            for start in range(0, len(text), MAX_PIECE_LENGTH)
        ]
        if len(pieces) > MAX_PIECES:
            raise LaunchError("The EHR's token is longer than a browser keeps.", ["token"])
        seconds = max(int(launch.ends - now), 0)
        for place, piece in enumerate(pieces):
            name = f"{self._launch_prefix}{launch.id}.{place}"
            self._put(response, name, piece, self._build_path(launch.id), seconds, framed=framed)

    def read_launch(self, request: Request, id_: str, now: float) -> LaunchToken | None:
        """The launch with this id, in this browser; None for none, and for one that has ended."""
        names = [f"{self._launch_prefix}{id_}.{place}" for place in range(MAX_PIECES)]
        text = "".join(request.cookies.get(name, "") for name in names)
        members = self._ciphers["launched"].decrypt(text, self._idle_seconds, now)
        launch = None if members is None else LaunchToken(**members)
        return launch if launch and launch.id == id_ and launch.ends > now else None

    def has_launch(self, request: Request, id_: str) -> bool:
        """Whether the browser brought anything for this launch, ended or not."""
        return f"{self._launch_prefix}{id_}.0" in request.cookies

    def drop_launch(self, response: Response, id_: str, *, framed: bool) -> None:
        for place in range(MAX_PIECES):
            self._drop(
                response,
                f"{self._launch_prefix}{id_}.{place}",
                self._build_path(id_),
                framed=framed,
            )

    def _build_path(self, id_: str) -> str:
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
            name,
            value,
            max_age=seconds,
            path=path,
            httponly=True,
            **self._choose_attributes(framed),
        )

    def _drop(self, response: Response, name: str, path: str, *, framed: bool) -> None:
        response.delete_cookie(name, path=path, httponly=True, **self._choose_attributes(framed))

    def _choose_attributes(self, framed: bool) -> dict[str, Any]:
        """In an EHR's frame we are third party: the cookie is then that EHR's frames' alone."""
        if framed and self._is_secure:
            return {"secure": True, "samesite": "None", "partitioned": True}
        return {"secure": self._is_secure, "samesite": "Lax"}
