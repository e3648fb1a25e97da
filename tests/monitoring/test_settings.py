"""Settings that are wrong are refused at start, in a sentence that says the mend."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(**environment):
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment}
    return subprocess.run(
        [sys.executable, "-c", "import tests.settings"], cwd=ROOT, env=env, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("REDIS_URL", "127.0.0.1:6379", "REDIS_URL must begin with redis://, rediss:// (over TLS) or unix://"),
        ("REDIS_URL", "http://127.0.0.1", "REDIS_URL must begin with redis://, rediss:// (over TLS) or unix://"),
        ("METRICS_ALLOW", "10.0.0.0/8, monitor.example", "List addresses or networks, such as 10.0.0.0/8."),
    ],
)
def test_what_cannot_be_meant_is_refused(name, value, sentence):
    outcome = load(**{name: value})
    assert outcome.returncode == 1
    assert sentence in outcome.stderr.splitlines()[-1]


def test_what_is_well_formed_is_taken():
    outcome = load(REDIS_URL="rediss://:secret@redis.example:6380/1", METRICS_ALLOW="10.0.0.7/8,2001:db8::/32,::1")
    assert (outcome.returncode, outcome.stderr) == (0, "")
