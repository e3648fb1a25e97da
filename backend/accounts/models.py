"""People, and the tokens they are signed in by."""

import secrets

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _


def new_epoch() -> str:
    """128 random bits as 22 URL-safe characters."""
    return secrets.token_urlsafe(16)


class User(AbstractUser):
    """A buyer or an operator. ``token_epoch`` is in every token: a new epoch ends them all."""

    token_epoch = models.CharField(_("token epoch"), max_length=22, default=new_epoch, editable=False)

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def set_password(self, raw_password: str | None) -> None:
        """A password change ends every token. (A mere rehash at sign-in saves the password alone, and ends none.)"""
        super().set_password(raw_password)
        self.token_epoch = new_epoch()


class AccessToken(models.Model):
    """One sign-in. The row is what logout deletes; the token itself is a JWT that names it."""

    id = models.CharField(primary_key=True, max_length=22, default=new_epoch, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="access_tokens", verbose_name=_("user"))
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"))

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")
        indexes = [models.Index(fields=["expires_at"], name="token_by_expiry")]

    def __str__(self) -> str:
        return f"{self.user_id} until {self.expires_at:%Y-%m-%d %H:%M}"
