from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ShopfrontConfig(AppConfig):
    name = "backend.shopfront"
    verbose_name = _("Shop page")
