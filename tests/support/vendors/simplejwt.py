"""A vendor whose tokens are JWTs that say their own end: djangorestframework-simplejwt. How it is run: serving.py.

`exp` is in whole seconds, rounded down: a token lives for --life seconds or up to one second less.
A password is stripped of blanks at its ends by simplejwt itself, at the login only.
A changed password makes every token worthless (CHECK_REVOKE_TOKEN is on).
"""

import importlib
import secrets

import serving

serving.configure(
    [],
    "rest_framework_simplejwt.authentication.JWTAuthentication",
    SIMPLE_JWT={
        "ACCESS_TOKEN_LIFETIME": serving.life,
        "SIGNING_KEY": secrets.token_urlsafe(48),
        "CHECK_REVOKE_TOKEN": True,
    },
)

# Only from here on: these read the settings when they are imported.
from django.conf import settings
from django.urls import path
from rest_framework_simplejwt import state
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.views import TokenObtainPairView

urlpatterns = [path("api/token/", TokenObtainPairView.as_view()), *serving.calls()]


def rotate_signing_key():
    """simplejwt keeps the key in three places: its settings' cache, the backend made from them when
    `state` was imported, and that backend's prepared key. A new backend gets rid of all of them, and
    every token looks the backend up in `state` anew."""
    settings.SIMPLE_JWT["SIGNING_KEY"] = secrets.token_urlsafe(48)
    api_settings.__dict__.pop("SIGNING_KEY", None)
    before = state.token_backend
    importlib.reload(state)
    assert state.token_backend.signing_key == settings.SIMPLE_JWT["SIGNING_KEY"] != before.signing_key


serving.serve("/api/token/", ("logins", "refused"), rotate_signing_key)
