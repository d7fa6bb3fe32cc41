"""`/sign-in`, the way back from the provider of identities, and `/sign-out`."""

from typing import Any

from flask import Blueprint, g, redirect, request, session
from werkzeug.wrappers import Response

from cds_hooks.config.pages import OpenID
from cds_hooks.config.settings import Settings
from services.web.access import SIGN_IN, ForbiddenError, User, choose_redirect
from services.web.frame import Frame
from services.web.openid import Provider, find_claim, list_texts

NEXT_PARAMETER = "next"  # where to after signing in, by the state of the sign-in
MAX_NAME_LENGTH = 80  # characters


def build_user(openid: OpenID, claims: Any, settings: Settings) -> User:
    """Who the provider says she is, and which of our tenants that opens."""
    values = list_texts(find_claim(claims, openid.tenants_claim))
    tenants = [tenant.id for tenant in settings.tenants]
    names = [claims.get(name) for name in ("name", "preferred_username", "email", "sub")]
    name = next((text for text in names if isinstance(text, str) and text.strip()), "")
    return User(str(claims["sub"]), name[:MAX_NAME_LENGTH], openid.find_tenants(values, tenants))


def make_sign_in_pages(frame: Frame, openid: OpenID) -> Blueprint:
    """Raises ConfigurationError for the client's secret."""
    pages = frame.make_blueprint(SIGN_IN)
    provider = Provider(openid)
    base_url = frame.settings.base_url

    @pages.get("/sign-in")
    def sign_in() -> Response:
        response: Response = provider.start_sign_in(f"{base_url}/sign-in/callback")
        session[NEXT_PARAMETER] = choose_redirect(request.args.get(NEXT_PARAMETER))
        return response

    @pages.get("/sign-in/callback")
    def back() -> Response:
        claims = provider.read_identity()
        path = choose_redirect(session.get(NEXT_PARAMETER))
        user = build_user(openid, claims, frame.settings)
        if not user.tenants:
            session.clear()
            g.user = None
            raise ForbiddenError("no tenant")
        frame.access.begin_session(user)
        return redirect(path)

    @pages.post("/sign-out")
    def sign_out() -> Response:
        frame.access.end_session()
        return redirect("/sign-out", code=303)

    @pages.get("/sign-out")
    def signed_out() -> Response:
        url = None if g.user else provider.find_sign_out_url(f"{base_url}/sign-out")
        return frame.render_page("pages/signed_out.html", end_url=url)

    return pages
