from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PaymentsConfig(AppConfig):
    name = "backend.payments"
    verbose_name = _("Payments")

    def ready(self) -> None:
        from backend.payments import checks  # noqa: F401 - registers them
