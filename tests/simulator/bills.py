"""Asking for bills and reading them, independently of how the simulator writes them."""

import csv
import io
import zipfile

QUERY = "alipay.data.dataservice.bill.downloadurl.query"
NODE = "alipay_data_dataservice_bill_downloadurl_query_response"
TODAY = "2026-01-01"
ACCOUNT = "20881000000000010156"
STEM = f"{ACCOUNT}_20260101"
TOO_LATE = "下载超时，请重新下载"


def ask(lab, bill_date=TODAY, bill_type="trade"):
    """The answer to the method, its signature checked by the SDK."""
    raw = lab.simulator.gateway_call(lab.params(QUERY, {"bill_type": bill_type, "bill_date": bill_date}))
    return lab.sdk._verify_and_return_sync_response(raw.decode(), NODE)


def refused(lab, *asked):
    reply = ask(lab, *asked)
    assert "bill_download_url" not in reply
    assert reply["code"] == "40004"
    return reply["sub_code"]


def download(lab, *asked):
    return lab.simulator.download(ask(lab, *asked)["bill_download_url"])


def texts(raw):
    """{file name: text} of a bill, read as an independent reader reads it."""
    with zipfile.ZipFile(io.BytesIO(raw), metadata_encoding="gbk") as archive:
        return {name: archive.read(name).decode("gbk") for name in archive.namelist()}


def rows(raw):
    """The rows of the detail file as dictionaries, without their tabs."""
    text = texts(raw)[f"{STEM}_业务明细.csv"]
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [{name: field.strip("\t") for name, field in row.items()} for row in csv.DictReader(lines)]


def told(raw):
    """(order, kind, yuan, refund number) of each row."""
    names = ("商户订单号", "业务类型", "商家实收（元）", "退款批次号/请求号")
    return [tuple(row[name] for name in names) for row in rows(raw)]
