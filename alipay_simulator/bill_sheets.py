"""What stands in the two files of a bill, line by line: `trade` tells of sales, `signcustomer` of the account.

Protocol 5.6, and for what it leaves open bills that others have published. The tab after a field keeps Excel from
reading a long number as one.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from .bill_entries import Entry
from .bill_period import Period
from .buyers import masked
from .clock import BEIJING, beijing
from .money import yuan

TRADE_COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,"
    "商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,"
    "商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
TRADE_SUMMARY = (
    "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,"
    "卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）"
)
FUND_COLUMNS = (
    "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,"
    "交易渠道,业务类型,备注"
)
FUND_SUMMARY = "类型,收入笔数,收入金额（+元）,支出笔数,支出金额（-元）,总金额（元）"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
NONE = "0.00"


@dataclass(slots=True)
class Tally:
    """Counts and sums of the rows that were written; refunds are below zero."""

    payments: int = 0
    refunds: int = 0
    paid_fen: int = 0
    refunded_fen: int = 0

    def add(self, entry: Entry) -> None:
        """Count a row."""
        if entry.amount_fen > 0:
            self.payments += 1
            self.paid_fen += entry.amount_fen
        else:
            self.refunds += 1
            self.refunded_fen += entry.amount_fen

    @property
    def net(self) -> str:
        """What is kept, in yuan."""
        return yuan(self.paid_fen + self.refunded_fen)


class Sheet(ABC):
    """One bill: `detail` yields its head and rows and counts them; `footer` and `summary` come after that."""

    noun = ""
    columns = ""

    def __init__(self, account: str, period: Period, exported_at: float, *, quotes: bool) -> None:
        self.account = account
        self.period = period
        self.exported_at = exported_at
        self.quotes = quotes
        self.tally = Tally()

    def detail(self, entries: Iterator[Entry]) -> Iterator[str]:
        """The head, the columns and a row for each entry."""
        yield from self._head("明细")
        yield line(self.columns)
        for entry in entries:
            self.tally.add(entry)
            yield line(",".join(self._field(field) for field in self.row(entry)))

    @abstractmethod
    def row(self, entry: Entry) -> list[str]:
        """The fields of one entry, with their tabs."""

    @abstractmethod
    def footer(self) -> Iterator[str]:
        """What follows the rows."""

    @abstractmethod
    def summary(self) -> Iterator[str]:
        """The second file."""

    def _head(self, kind: str) -> Iterator[str]:
        yield line(f"#支付宝{self.noun}{kind}查询")
        yield line(f"#账号：[{self.account}]")
        yield line(f"#起始日期：[{_chinese(self.period.start)}]   终止日期：[{_chinese(self.period.end)}]")
        yield line(f"#{'-' * 41}{self.noun}{kind}列表{'-' * 40}")

    def _exported(self) -> str:
        return line(f"#导出时间：[{_chinese(self.exported_at)}]")

    def _field(self, text: str) -> str:
        """Whether a comma is quoted is UNCONFIRMED at Alipay: only where the rule says so."""
        if self.quotes and ("," in text or '"' in text):
            return '"' + text.replace('"', '""') + '"'
        return text


class TradeSheet(Sheet):
    """业务: 25 columns, a row for each payment and each refund."""

    noun = "业务"
    columns = TRADE_COLUMNS

    def row(self, entry: Entry) -> list[str]:
        """A refund's row is that of its trade, with the time and the number of the refund."""
        amount = yuan(entry.amount_fen)
        return [
            *(f"{entry.trade_no}\t", f"{entry.out_trade_no}\t", f"{'退款' if entry.amount_fen < 0 else '交易'}\t"),
            *(plain(entry.subject), beijing(entry.created_at), beijing(entry.at)),
            *("\t", "\t", "\t", "\t", f"{payer(entry.account)}\t"),
            *(amount, amount, NONE, NONE, NONE, NONE, NONE, "", f"{NONE}\t", NONE),
            *(f"{plain(entry.out_request_no)}\t", NONE, NONE, plain(entry.body)),
        ]

    def footer(self) -> Iterator[str]:
        """Refunds are summed with their sign, as in the bills that were published."""
        tally = self.tally
        yield line(f"#{'-' * 41}业务明细列表结束{'-' * 36}")
        yield line(f"#交易合计：{tally.payments}笔，商家实收共{yuan(tally.paid_fen)}元，商家优惠共0.00元")
        yield line(f"#退款合计：{tally.refunds}笔，商家实收退款共{yuan(tally.refunded_fen)}元，商家优惠退款共0.00元")
        yield self._exported()

    def summary(self) -> Iterator[str]:
        """No shop has branches here, so the first row is the sum already; that sums are net is UNCONFIRMED."""
        tally = self.tally
        sums = f"{tally.payments},{tally.refunds},{tally.net},{tally.net},0.00,0.00,0.00,0.00,0.00,{tally.net}"
        yield from self._head("汇总")
        yield line(TRADE_SUMMARY)
        yield line(f"\t,\t,{sums}")
        yield line(f"合计\t,\t,{sums}")
        yield line(f"#{'-' * 40}业务汇总列表结束{'-' * 37}")
        yield self._exported()


class FundSheet(Sheet):
    """账务: 12 columns, each row with the account's balance after it; `balance_fen` is the one before the first."""

    noun = "账务"
    columns = FUND_COLUMNS

    def __init__(self, account: str, period: Period, exported_at: float, *, quotes: bool, balance_fen: int = 0) -> None:
        super().__init__(account, period, exported_at, quotes=quotes)
        self.balance_fen = balance_fen

    def row(self, entry: Entry) -> list[str]:
        """Money in or money out; the other of the two is 0.00."""
        self.balance_fen += entry.amount_fen
        came, amount = entry.amount_fen > 0, yuan(entry.amount_fen)
        return [
            *(f"{entry.seq:014d}\t", f"{entry.trade_no}\t", f"{entry.out_trade_no}\t", f"{plain(entry.subject)}\t"),
            *(beijing(entry.at), f"{payer(entry.account)}\t", amount if came else NONE, NONE if came else amount),
            *(yuan(self.balance_fen), "支付宝", "在线支付" if came else "交易退款", plain(entry.body)),
        ]

    def footer(self) -> Iterator[str]:
        """The sums of both sides."""
        tally = self.tally
        yield line(f"#{'-' * 40}账务明细列表结束{'-' * 37}")
        yield line(f"#支出合计：{tally.refunds}笔，共{yuan(tally.refunded_fen)}元")
        yield line(f"#收入合计：{tally.payments}笔，共{yuan(tally.paid_fen)}元")
        yield self._exported()

    def summary(self) -> Iterator[str]:
        """UNCONFIRMED but for its first line."""
        tally = self.tally
        yield from self._head("汇总")
        yield line(FUND_SUMMARY)
        both = f"{tally.payments},{yuan(tally.paid_fen)},{tally.refunds},{yuan(tally.refunded_fen)},{tally.net}"
        yield line(f"合计\t,{both}")
        yield line(f"#{'-' * 40}账务汇总列表结束{'-' * 37}")
        yield self._exported()


def line(text: str) -> str:
    """End a line; that it is CRLF is UNCONFIRMED at Alipay."""
    return f"{text}\r\n"


def plain(text: str) -> str:
    """A text that stays on its line."""
    return CONTROL.sub(" ", text)


def payer(account: str) -> str:
    """Return `*箱环境(buy***@example.com)`: the sandbox knows no names."""
    return f"*箱环境({masked(account)})"


def _chinese(moment: float) -> str:
    time = datetime.fromtimestamp(moment, BEIJING)
    return f"{time:%Y}年{time:%m}月{time:%d}日 {time:%H:%M:%S}"
