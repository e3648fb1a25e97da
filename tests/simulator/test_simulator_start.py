"""Keys, the command line, and standing alone."""

import ast
import os
import stat
import subprocess
import sys
from pathlib import Path

import alipay_simulator
from alipay_simulator.__main__ import main, parser
from alipay_simulator.config import Config
from alipay_simulator.keys import load_or_make_keys

PACKAGE = Path(alipay_simulator.__file__).parent


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_init_makes_the_keys_once(tmp_path, capsys):
    data = tmp_path / "deep" / "var"
    assert main(["--init", "--data", str(data)]) == 0
    assert capsys.readouterr().out == f"{data / 'alipay_public_key.pem'}\n"
    assert (mode(data), mode(data / "alipay_private_key.pem")) == (0o700, 0o600)
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    assert set(before) == {"alipay_private_key.pem", "alipay_public_key.pem"}
    assert before["alipay_public_key.pem"].startswith(b"-----BEGIN PUBLIC KEY-----")
    assert load_or_make_keys(data).key_size == 2048
    assert main(["--init", "--data", str(data)]) == 0
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def test_a_lost_public_key_is_written_again(data):
    public = (data / "alipay_public_key.pem").read_bytes()
    (data / "alipay_public_key.pem").write_text("stale")
    load_or_make_keys(data)
    assert (data / "alipay_public_key.pem").read_bytes() == public


def test_the_options_have_the_defaults_of_the_config():
    options = vars(parser().parse_args([]))
    assert options.pop("init") is False
    assert Config(**options) == Config()


def test_the_command_line_serves(data, poll):
    import socket

    import httpx

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "alipay_simulator", "--port", str(port), "--data", str(data)]
    process = subprocess.Popen(command, cwd=PACKAGE.parent, stdout=subprocess.DEVNULL)

    def healthy():
        try:
            return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).json()
        except httpx.TransportError:
            return None

    try:
        assert poll(healthy, seconds=30) == {"status": "ok", "app_key": True}
    finally:
        process.terminate()
        process.wait(10)
    assert process.returncode in (0, -15)


def test_the_package_knows_nothing_of_the_shop_or_its_sdk():
    allowed = {"cryptography", "httpx", "jinja2", "starlette", "uvicorn"} | sys.stdlib_module_names
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            else:
                continue
            assert {name.split(".")[0] for name in names} <= allowed, path.name


def test_a_public_url_stands_before_the_cashier(start, merchant_of, data):
    sandbox = start(public_url="https://sandbox.example/pay/")
    answer = sandbox.http.get(merchant_of(sandbox).pay_url("order_1"))
    assert answer.headers["location"].startswith("https://sandbox.example/pay/cashier?payOrderId=")


def test_no_file_is_left_open_to_others(sandbox, merchant, data):
    sandbox.buy(merchant.pay_url("order_1"))
    assert mode(data / "alipay_private_key.pem") == 0o600
    assert os.access(data / "book.sqlite3", os.R_OK)
