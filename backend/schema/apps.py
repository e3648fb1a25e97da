from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, register
from django.utils.translation import gettext_lazy as _


class SchemaConfig(AppConfig):
    name = "backend.schema"
    verbose_name = _("GraphQL")

    def ready(self) -> None:
        register(trusted_documents_fit)


def trusted_documents_fit(app_configs: Sequence[AppConfig] | None, **more: Any) -> list[CheckMessage]:
    """The storefront's operations are there where nothing else is served, and they fit the schema."""
    from backend.schema.assembly import trusted_problems
    from backend.schema.trusted import found_wrong

    return found_wrong(trusted_problems)
