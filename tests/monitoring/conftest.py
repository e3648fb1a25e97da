"""Figures and findings that no other test has left behind."""

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from backend.monitoring import readiness, scrape


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    """What a process remembers of the database is asked anew."""
    monkeypatch.setattr(readiness, "memory", readiness.Memory())
    forget_figures()
    yield
    forget_figures()


def forget_figures():
    for _, _, _, source in scrape.shop(scrape.METERS).sources:
        source.until, source.figures = 0.0, None


def samples(text):
    """Each sample's value by its name and its labels' values, in the order of the labels' names."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def scraped(db):
    """Asks /metrics as Prometheus would, and reads the answer. Figures of the database are read anew each time."""

    def scrape_now():
        forget_figures()
        response = Client().get("/metrics")
        assert response.status_code == 200
        return samples(response.content.decode())

    return scrape_now
