"""The bills of Alipay: which there are, the address that leads to one for 30 seconds, the download (protocol 5.6)."""

import hashlib
import hmac
import tempfile
from collections.abc import Mapping
from typing import IO
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from .bill_archive import Flaws, write_archive
from .bill_entries import balance_before, has_entries, read_entries, spoilt
from .bill_period import Period, named_period, parse_period
from .bill_sheets import FundSheet, Sheet, TradeSheet
from .book import Book
from .clock import Clock
from .config import Config
from .errors import BusinessError
from .faults import BILL, FILE_KINDS, MEBIBYTE, WAY_KINDS, Fault, Faults
from .replies import HTML, MAINTENANCE, Reply
from .rules import Rules
from .signing import message_text, sign

PATH = "/downloadBillFile.resource"
ZIP = "application/zip"
LIFE = 30
BIZ_TYPES = {"trade": "trade", "signcustomer": "fnd"}
NOT_HERE = ("settlementMerge", "trade_zft_merchant")
NOT_EXIST = {"wire": "isp.bill_not_exist", "listed": "BILL_NOT_EXIST"}
INVALID = {"wire": "isv.invalid_arguments", "listed": "INVAILID_ARGUMENTS"}
PAGE = '<!doctype html><html><head><meta charset="utf-8"><title>支付宝</title></head><body>{}</body></html>'


class Bills:
    """Bills are written when they are downloaded, from the book as it is then."""

    def __init__(
        self, book: Book, clock: Clock, config: Config, rules: Rules, faults: Faults, key: RSAPrivateKey
    ) -> None:
        self.book = book
        self.clock = clock
        self.config = config
        self.rules = rules
        self.faults = faults
        self.key = key

    @property
    def account(self) -> str:
        """The seller's account as bills name it."""
        return f"{self.config.seller_id}0156"

    def url(self, bill_type: object, bill_date: object, *, early: bool = False) -> str:
        """Return a bill's address; BusinessError before its morning, unless `early`, and where it would be empty."""
        if bill_type in NOT_HERE:
            raise BusinessError("TYPE_NOT_SUPPORTED")
        try:
            period = parse_period(bill_date)
        except ValueError:
            raise BusinessError(INVALID[self.rules.bill_codes], "：bill_date") from None
        if not isinstance(bill_type, str) or bill_type not in BIZ_TYPES:
            raise BusinessError(INVALID[self.rules.bill_codes], "：bill_type")
        ready = early or self.rules.bill_at_once or self.clock.now() >= period.ready_at
        if not ready or not has_entries(self.book, period):
            raise BusinessError(NOT_EXIST[self.rules.bill_codes])
        return self._address(bill_type, period)

    def _address(self, bill_type: str, period: Period) -> str:
        query = {
            "bizType": BIZ_TYPES[bill_type],
            "userId": self.account,
            "fileType": "csv.zip",
            "bizDates": period.name,
            "downloadFileName": f"{self.account}_{period.name}.csv.zip",
            "fileId": f"/{bill_type}/{self.account}/{period.name}.csv.zip",
            "timestamp": str(int(self.clock.now())),
        }
        return f"{self.config.base_url}{PATH}?{urlencode({**query, 'token': self._token(query)})}"

    def _token(self, query: Mapping[str, str]) -> str:
        """32 hex digits that only this simulator can tell; the same again after a restart."""
        signature = sign(message_text({name: text for name, text in query.items() if name != "token"}), self.key)
        return hashlib.sha256(signature.encode()).hexdigest()[:32]

    def download(self, query: Mapping[str, str]) -> Reply:
        """Answer a download's parameters: the zip, the documented page when the 30 seconds are over, or a fault's.

        It may take seconds, for a bill of many rows; call it in a thread of its own.
        """
        if not hmac.compare_digest(query.get("token", "").encode(), self._token(query).encode()):
            return self._page("参数错误", 403)
        if not 0 <= self.clock.now() - int(query["timestamp"]) < LIFE:
            return self._page("下载超时，请重新下载")
        fault = self.faults.take(BILL, "", *WAY_KINDS)
        reply = self._without_the_bill(fault) if fault else None
        if reply is None:
            reply = self._with_the_bill(query, fault)
        data = {"name": query["downloadFileName"], "status": reply.status, "size": reply.size}
        self.book.record("bill.answered", self.clock.now(), data={**data, "fault": fault.kind if fault else ""})
        return reply

    def _without_the_bill(self, fault: Fault) -> Reply | None:
        if fault.kind == "timeout_before":
            return Reply(held=fault.number)
        pages = {
            "expired": self._page("下载超时，请重新下载"),
            "http_500": self._page("系统错误", 500),
            "html_200": Reply(MAINTENANCE.encode(), media_type=HTML),
            "empty": Reply(media_type=ZIP),
        }
        return pages.get(fault.kind)

    def _with_the_bill(self, query: Mapping[str, str], fault: Fault | None) -> Reply:
        """What is not going to arrive whole is not spoilt within: those faults wait for a bill that does."""
        kind = fault.kind if fault else ""
        file, size = self._write(query, spoil=kind not in ("stall", "truncated"))
        if fault and kind == "stall":
            with file:
                return Reply(file.read(min(size // 2, MEBIBYTE)), media_type=ZIP, held=fault.number)
        drip = fault.number if fault and kind == "drip" else None
        return Reply(media_type=ZIP, file=file, size=size // 2 if kind == "truncated" else size, drip=drip)

    def _write(self, query: Mapping[str, str], *, spoil: bool) -> tuple[IO[bytes], int]:
        """Return the zip in a file that is gone when it is closed, and its size."""
        period = named_period(query["bizDates"])
        entries, flaws = read_entries(self.book, period), Flaws()
        if spoil:
            entries, flaws = spoilt(entries, self.faults, period), self._flaws()
        file = tempfile.SpooledTemporaryFile(MEBIBYTE)  # noqa: SIM115 (the reply closes it)
        write_archive(file, self._sheet(query["bizType"], period), entries, flaws)
        size = file.tell()
        file.seek(0)
        return file, size

    def _flaws(self) -> Flaws:
        struck = {kind for kind in FILE_KINDS if self.faults.take(BILL, "", kind)}
        encoding = "utf-8" if "utf8" in struck else "gbk"
        return Flaws(encoding, footer="no_footer" not in struck, cut="cut_csv" in struck)

    def _sheet(self, biz_type: str, period: Period) -> Sheet:
        now, quotes = self.clock.now(), self.rules.bill_quotes
        if biz_type == "trade":
            return TradeSheet(self.account, period, now, quotes=quotes)
        balance = balance_before(self.book, period.start)
        return FundSheet(self.account, period, now, quotes=quotes, balance_fen=balance)

    @staticmethod
    def _page(words: str, status: int = 200) -> Reply:
        return Reply(PAGE.format(words).encode(), status, HTML)
