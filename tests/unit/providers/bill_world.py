"""Bills as the tests make them: rows, the table around them, and the zip around that."""

import io
import zipfile

COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,"
    "商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,"
    "卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)

SAMPLE = (
    "2017083121001004720299453898\t,cd6e6359684\t,交易\t,支付宝APP支付,2017-08-31 00:06:14,2017-08-31 00:06:15,"
    "\t,\t,\t,\t,*杨(137****2600)\t,20.00,20.00,0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,\t,0.00,0.00,备注文字"
)
"""The protocol's own line."""

HEAD = (
    "#支付宝业务明细查询",
    "#账号：[20885212319120680156]",
    "#起始日期：[2017年08月31日 00:00:00]   终止日期：[2017年09月01日 00:00:00]",
    "#-----------------------------------------业务明细列表----------------------------------------",
)
END = "#-----------------------------------------业务明细列表结束------------------------------------"
FOOT = ("#交易合计：1笔，商家实收共20.00元，商家优惠共0.00元", "#导出时间：[2017年09月01日 09:12:33]")
DETAIL, SUMMARY = "20885212319120680156_20170831_业务明细.csv", "20885212319120680156_20170831_业务明细(汇总).csv"


def bill_line(**cells):
    """The sample line with other cells, by the name of the column up to its bracket."""
    names = [name.split("（")[0] for name in COLUMNS.split(",")]
    found = dict(zip(names, SAMPLE.split(","), strict=True))
    assert cells.keys() <= found.keys()
    return ",".join((found | cells).values())


def refund_line(**cells):
    given = {"业务类型": "退款\t", "退款批次号/请求号": "R20170831_0001\t", "订单金额": "-17.00", "服务费": "-0.10"}
    return bill_line(**(given | cells))


def bill_lines(*rows, columns=COLUMNS, end=END):
    return [*HEAD, columns, *rows, *([end, *FOOT] if end else [])]


def table(*rows, newline="\r\n", **how):
    return "".join(line + newline for line in bill_lines(*rows, **how)).encode("gb18030")


class GbkEntry(zipfile.ZipInfo):
    """An entry whose name is GBK without the flag: zipfile alone would write UTF-8 and say so."""

    def _encodeFilenameFlags(self):  # noqa: N802
        return self.filename.encode("gbk"), self.flag_bits & ~0x800


def packed(entries, method=zipfile.ZIP_DEFLATED):
    """A zip of ``entries``: pairs of a name and bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries:
            entry = GbkEntry(name)
            entry.compress_type = method
            archive.writestr(entry, content)
    return file.getvalue()


def bill_zip(*rows, **how):
    return packed([(SUMMARY, "#支付宝业务汇总查询\r\n".encode("gbk")), (DETAIL, table(*rows, **how))])
