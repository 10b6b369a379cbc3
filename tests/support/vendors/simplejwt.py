"""A vendor whose tokens are JWTs with the claim `exp`: djangorestframework-simplejwt. serving.py describes how to run it.

`exp` is in whole seconds, rounded down, so the lifetime of a token is --life seconds, or up to one second less.
At the login, simplejwt removes blanks at both ends of the password; nothing else does.
A change of the password revokes every token (CHECK_REVOKE_TOKEN is on).
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

# Imported only after `configure`, because these modules read the settings when they are imported.
from django.conf import settings
from django.urls import path
from rest_framework_simplejwt import state
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.views import TokenObtainPairView

urlpatterns = [path("api/token/", TokenObtainPairView.as_view()), *serving.calls()]


def rotate_signing_key():
    """Replaces the key that signs tokens, so that no token issued before is valid.

    simplejwt keeps the key in three places: the cache of its settings, the backend that is made from them
    when `state` is imported, and that backend's prepared key. This clears the cache and makes a new backend.
    Every token looks up the backend in `state` each time."""
    settings.SIMPLE_JWT["SIGNING_KEY"] = secrets.token_urlsafe(48)
    api_settings.__dict__.pop("SIGNING_KEY", None)
    before = state.token_backend
    importlib.reload(state)
    assert state.token_backend.signing_key == settings.SIMPLE_JWT["SIGNING_KEY"] != before.signing_key


serving.serve("/api/token/", ("logins", "refused"), rotate_signing_key)
