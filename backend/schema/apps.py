from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SchemaConfig(AppConfig):
    name = "backend.schema"
    verbose_name = _("GraphQL")
