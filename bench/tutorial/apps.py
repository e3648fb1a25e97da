"""The app's name; it has no migrations: its tables are made by `migrate --run-syncdb`."""

from django.apps import AppConfig


class Tutorial(AppConfig):
    name = "bench.tutorial"
