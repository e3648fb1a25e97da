"""People, and who is signed in."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from backend.accounts.login import check_password
from backend.accounts.models import AccessToken, User
from backend.admin_lists import LongList, LongListAdmin
from backend.errors import InvalidCredentials, RateLimited


class SignInForm(AdminAuthenticationForm):
    """The admin's sign-in, under the same limits as every other."""

    def clean(self) -> dict[str, Any]:
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username and password:
            try:
                user = check_password(self.request or HttpRequest(), username=username, password=password)
            except RateLimited as refusal:
                raise ValidationError(_("Too many tries. Wait a while, then try again."), code="limited") from refusal
            except InvalidCredentials as refusal:
                raise self.get_invalid_login_error() from refusal
            self.confirm_login_allowed(user)
            self.user_cache = user
        return self.cleaned_data


admin.site.login_form = SignInForm


@admin.register(User)
class AccountAdmin(LongList, UserAdmin):  # type: ignore[type-arg]  # takes none at run time
    """Django's own: a password set here ends the user's tokens, as everywhere."""

    list_display = ("username", "email", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups", "date_joined")
    search_fields = ("username", "email")
    search_help_text = _("A part of the user name or the e-mail address")


@admin.register(AccessToken)
class AccessTokenAdmin(LongListAdmin):
    list_display = ("username", "created_at", "expires_at")
    list_select_related = ("user",)
    search_fields = ("=user__username",)
    search_help_text = _("User name")
    ordering = ("-expires_at",)
    fields = ("user", "created_at", "expires_at")

    @admin.display(description=_("user"), ordering="user__username")
    def username(self, token: AccessToken) -> str:
        return token.user.username
