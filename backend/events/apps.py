from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class EventsConfig(AppConfig):
    name = "backend.events"
    verbose_name = _("Outgoing events")

    def ready(self) -> None:
        from backend.events import checks  # noqa: F401 - registers them
