"""People, and who is signed in."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.utils.translation import gettext_lazy as _

from backend.accounts.models import AccessToken, User
from backend.admin import ReadOnlyAdmin


@admin.register(User)
class AccountAdmin(UserAdmin):  # type: ignore[type-arg]  # takes none at run time
    """Django's own: a password set here ends the user's tokens, as everywhere."""

    list_display = ("username", "email", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups")
    date_hierarchy = "date_joined"


@admin.register(AccessToken)
class AccessTokenAdmin(ReadOnlyAdmin):
    list_display = ("username", "created_at", "expires_at")
    list_select_related = ("user",)
    search_fields = ("=user__username",)
    search_help_text = _("User name")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    fields = ("user", "created_at", "expires_at")

    @admin.display(description=_("user"), ordering="user__username")
    def username(self, token: AccessToken) -> str:
        return token.user.username
