"""A vendor that speaks OAuth 2: django-oauth-toolkit. serving.py describes how to run it.

Two clients have the secret `cl1ent:s%c+ret`: `people` uses the password grant and gets refresh tokens, and
`machine` uses the client-credentials grant. The counts also include refreshes and refused_refreshes (a
refresh token sent to the login's path), logouts and refused_logouts (/o/revoke_token/).
"""

import datetime

import serving

serving.configure(
    ["oauth2_provider"],
    "oauth2_provider.contrib.rest_framework.OAuth2Authentication",
    OAUTH2_PROVIDER={"ACCESS_TOKEN_EXPIRE_SECONDS": serving.args.life, "PKCE_REQUIRED": False},
)

# Imported only after `configure`, because these modules read the settings when they are imported.
from django.urls import include, path
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")), *serving.calls()]


def kind(request):
    if request.POST.get("grant_type") == "refresh_token":
        return "refreshes", "refused_refreshes"
    return "logins", "refused"


def clients(user):
    for name, grant in [("people", "password"), ("machine", "client-credentials")]:
        get_application_model().objects.create(
            client_id=name,
            client_secret="cl1ent:s%c+ret",
            client_type="confidential",
            authorization_grant_type=grant,
            user=user,
        )


def revoke_all():
    get_refresh_token_model().objects.all().delete()
    get_access_token_model().objects.all().delete()


def expire():
    """Makes every access token issued so far expire at once, so that no test has to wait for it."""
    get_access_token_model().objects.all().update(expires=timezone.now() - datetime.timedelta(seconds=1))


serving.orders["expire"] = expire
serving.counted["/o/revoke_token/"] = "logouts", "refused_logouts"
serving.serve("/o/token/", kind, revoke_all, clients)
