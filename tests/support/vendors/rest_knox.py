"""A vendor that extends a token's lifetime at each use, and limits the tokens of a user (--limit): django-rest-knox.

serving.py describes how to run it. It states the expiry of a token with India's UTC offset, and expects
`Authorization: Token …`. The counts also include logouts and refused_logouts (/api/auth/logout/).
"""

import serving

serving.configure(
    ["knox"],
    "knox.auth.TokenAuthentication",
    TIME_ZONE="Asia/Kolkata",
    REST_KNOX={
        "TOKEN_TTL": serving.life,
        "AUTO_REFRESH": True,
        "MIN_REFRESH_INTERVAL": 0,
        "TOKEN_LIMIT_PER_USER": serving.args.limit,
    },
)

# Imported only after `configure`, because these modules read the settings when they are imported.
from django.urls import path
from knox.models import get_token_model
from knox.views import LoginView, LogoutView
from rest_framework.authentication import BasicAuthentication

urlpatterns = [
    path("api/auth/login/", LoginView.as_view(authentication_classes=[BasicAuthentication])),
    path("api/auth/logout/", LogoutView.as_view()),
    *serving.calls(),
]
serving.counted["/api/auth/logout/"] = "logouts", "refused_logouts"
serving.serve("/api/auth/login/", ("logins", "refused"), lambda: get_token_model().objects.all().delete())
