"""The refusals of the gateway and of the cashier, with Alipay's codes (protocol 5.0)."""

import html

MESSAGES = {
    "20000": "Service Currently Unavailable",
    "40001": "Missing Required Arguments",
    "40002": "Invalid Arguments",
    "40003": "Insufficient Conditions",
    "40004": "Business Failed",
    "40006": "Insufficient Permissions",
}

# What Alipay says for each sub_code; wording per sub_code is UNCONFIRMED for the cashier (protocol 10).
REASONS = {
    "isv.missing-app-id": "缺少AppID参数",
    "isv.invalid-app-id": "无效的AppID参数",
    "isv.missing-signature-config": "应用未配置对应签名算法的公钥或者证书",
    "isv.missing-method": "缺少方法名参数",
    "isv.missing-signature": "缺少签名参数",
    "isv.missing-timestamp": "缺少时间戳参数",
    "isv.invalid-parameter": "参数无效",
    "isv.invalid-signature-type": "无效的签名类型",
    "isv.invalid-charset": "字符集错误",
    "isv.invalid-format": "无效的数据格式",
    "isv.invalid-version": "无效的版本参数",
    "isv.invalid-timestamp": "非法的时间戳参数",
    "isv.invalid-signature": "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配，网关生成的验签字符串为：",
    "isv.invalid-method": "不存在的方法名",
    "isv.insufficient-isv-permissions": "ISV权限不足",
    "ACQ.INVALID_PARAMETER": "参数无效",
    "ACQ.TRADE_NOT_EXIST": "交易不存在",
    "ACQ.TRADE_HAS_SUCCESS": "交易已被支付",
    "ACQ.TRADE_HAS_CLOSE": "交易已经关闭",
    "ACQ.CONTEXT_INCONSISTENT": "交易信息被篡改",
    "ACQ.TOTAL_FEE_EXCEED": "订单总金额超过限额",
    "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR": "当前时间已超过允许支付的时间",
    "ACQ.TRADE_STATUS_ERROR": "交易状态不合法",
    "ACQ.TRADE_HAS_FINISHED": "交易已完结",
    "ACQ.CANCEL_NOT_ALLOWED": "该交易不允许撤销",
    "ACQ.REFUND_FEE_ERROR": "退款金额错误",
    "ACQ.REASON_TRADE_REFUND_FEE_ERR": "退款金额无效",
    "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL": "撤销或退款金额与订单金额不一致",
    "ACQ.DISCORDANT_REPEAT_REQUEST": "不一致的请求",
    "ACQ.REASON_TRADE_BEEN_FREEZEN": "请求退款的交易被冻结",
    "ACQ.SELLER_BALANCE_NOT_ENOUGH": "卖家余额不足",
    "isp.bill_not_exist": "账单不存在",
    "BILL_NOT_EXIST": "账单不存在",
    "isv.invalid_arguments": "入参不合法",
    "INVAILID_ARGUMENTS": "入参不合法",
    "TYPE_NOT_SUPPORTED": "不支持的账单类型",
    "ACQ.SYSTEM_ERROR": "系统错误",
    "isp.unknow-error": "系统繁忙",
}


class GatewayError(Exception):
    """A refusal. `detail` is plain text after the reason; `signed` says whether the answer carries a signature."""

    def __init__(self, code: str, sub_code: str, detail: str = "", *, signed: bool = True) -> None:
        super().__init__(f"{code} {sub_code} {detail}")
        self.code = code
        self.sub_code = sub_code
        self.detail = detail
        self.signed = signed
        self.extra: dict[str, str] = {}

    @property
    def reason(self) -> str:
        """The sub_msg as plain text."""
        return REASONS[self.sub_code] + self.detail

    def body(self) -> dict[str, str]:
        """The reply's node. The detail is HTML-escaped, as Alipay does with its own signature text (protocol 9.1)."""
        return {
            "code": self.code,
            "msg": MESSAGES[self.code],
            "sub_code": self.sub_code,
            "sub_msg": REASONS[self.sub_code] + html.escape(self.detail),
            **self.extra,
        }


class BusinessError(GatewayError):
    """A signed 40004 with the sub_code of a business; `extra` are fields that Alipay sends along with it."""

    def __init__(self, sub_code: str, detail: str = "", **extra: str) -> None:
        super().__init__("40004", sub_code, detail)
        self.extra = extra


def invalid(detail: str) -> BusinessError:
    """The refusal of a business field, naming it: `参数无效：total_amount …`."""
    return BusinessError("ACQ.INVALID_PARAMETER", f"：{detail}")
