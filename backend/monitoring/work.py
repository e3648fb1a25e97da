"""How long due work has been waiting. Each answer is the first entry of the index that its sweep uses."""

from django.utils import timezone

from backend.payments.jobs import JOBS
from backend.sweeps import Sweep


def oldest_due() -> dict[str, float]:
    """Seconds for which the oldest due row of each sweep has been due; 0 where none is. Claimed rows are not due."""
    return {job.name: age_of(job) for job in JOBS if isinstance(job, Sweep)}


def age_of(sweep: Sweep) -> float:
    now = timezone.now()
    oldest = sweep.rows(now).order_by(sweep.due).values_list(sweep.due, flat=True).first()
    return (now - oldest).total_seconds() if oldest else 0.0
