from django.db import models


class Counter(models.Model):
    """How often something was done in the window that began at ``began_at``."""

    key = models.CharField(primary_key=True, max_length=80)
    began_at = models.BigIntegerField(help_text="Unix time in milliseconds.")
    times = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.key}: {self.times}"
