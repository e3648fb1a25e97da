"""Whatever is sent to a live server, valid or not, it answers; nothing of it is an error of ours.

The seeds are fixed: a gate must not fail by chance. For a longer run raise FUZZ_EXAMPLES.
"""

import os
import subprocess
import sys

import httpx
import pytest
from graphql import build_schema
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import Mode, from_schema, nodes

from tests.edge.corpus import all_attacks
from tests.edge.test_attacks import OURS
from tests.ports import free_ports
from tests.settings import ALIPAY_PUBLIC_KEY, APP_KEY
from tests.startup.trees import ROOT, run

pytestmark = pytest.mark.live

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
SCHEMA = build_schema((ROOT / "schema.graphql").read_text("utf-8"))
MONEY = st.one_of(st.from_regex(r"\A[0-9]{1,8}\.[0-9]{2}\Z"), st.text(max_size=12)).map(nodes.String)
LOGIN = 'mutation {{ login(input: {{username: "{0}", password: "{0}"}}) {{ ... on LoginSuccess {{ token }} }} }}'


@pytest.fixture
def server(tree, start, database):
    """Production's settings under granian, with demo data and without limits: they would answer most of it."""
    (port,) = free_ports(1)
    env = {
        "DEBUG": "0", "PORT": str(port), "SECRET_KEY": "fifty characters of a secret that is for this test alone",
        "DATABASE_URL": database, "ALLOWED_HOSTS": "127.0.0.1", "ALIPAY_GATEWAY_URL": "http://127.0.0.1:9/gateway.do",
        "ALIPAY_APP_ID": "9021000100000001", "ALIPAY_SELLER_ID": "2088100000000001", "RATE_LIMITS": "off",
        "ALIPAY_APP_PRIVATE_KEY_FILE": str(APP_KEY), "ALIPAY_PUBLIC_KEY_FILES": str(ALIPAY_PUBLIC_KEY),
    }  # fmt: skip
    for command in (["migrate", "--verbosity", "0"], ["load_demo"]):
        outcome = run(tree, "manage.py", *command, **env)
        assert outcome.code == 0, outcome.said
    granian = ["-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--no-ws"]
    return start(*granian, "--blocking-threads", "4", "backend.wsgi:application", env=env)


def token_of(web, name):
    answer = web.post("/graphql", json={"query": LOGIN.format(name)}).json()
    return {"authorization": f"Bearer {answer['data']['login']['token']}"}


def check(response):
    assert response.status_code < 500
    answer = response.json()
    codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
    assert "INTERNAL" not in codes
    assert not OURS.search(" ".join(error["message"] for error in answer.get("errors", [])))


def ask_what_hypothesis_makes(web, mode):
    headers = token_of(web, "staff")
    roots = {**SCHEMA.query_type.fields, **SCHEMA.mutation_type.fields}
    fields = [name for name, field in roots.items() if field.args or (name == "me" and mode is Mode.POSITIVE)]
    documents = st.sampled_from(fields).flatmap(
        lambda field: from_schema(SCHEMA, fields=[field], custom_scalars={"Money": MONEY}, mode=mode)
    )

    @seed(20261122)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(documents)
    def ask(document):
        check(web.post("/graphql", json={"query": document}, headers=headers))

    ask()


def run_schemathesis(web, url, folder):
    """As staff: it takes every error for one of the server, also that the field is not for whoever asks."""
    headers = token_of(web, "staff")
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", str(ROOT / "schema.graphql"), "--url", f"{url}/graphql",
        "--header", f"Authorization:{headers['authorization']}", "--exclude-name", "Mutation.logout",
        "--exclude-name-regex", "^Subscription", "--checks", "not_a_server_error", "--max-examples", str(EXAMPLES // 4),
        "--seed", "1", "--no-color", "--generation-database", "none", "--suppress-health-check", "all",
        "--warnings", "off",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.edge.scalars_for_schemathesis",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def send_the_corpus(web):
    for name, attack in all_attacks().items():
        if attack.method == "TRACE" or not all(value.isprintable() for value in attack.headers.values()):
            continue  # no HTTP client sends these
        headers = {**attack.headers, "content-type": attack.content_type}
        response = web.request(attack.method, f"/graphql?{attack.query_string}", content=attack.body, headers=headers)
        assert response.status_code < 500, name


def test_a_live_server_answers_whatever_is_sent(server, tmp_path):
    """One server for all of it, and it lives on."""
    # A connection for each request: one that the server closed after a refusal may not be taken for the next.
    alone = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=server.url, timeout=20, trust_env=False, limits=alone) as web:
        ask_what_hypothesis_makes(web, Mode.POSITIVE)
        ask_what_hypothesis_makes(web, Mode.NEGATIVE)
        run_schemathesis(web, server.url, tmp_path)
        send_the_corpus(web)
        assert web.post("/graphql", json={"query": "{ __typename }"}).json() == {"data": {"__typename": "Query"}}
    # Nothing of ours failed, whatever the answers looked like.
    assert "Traceback" not in server.said()
