"""One AliPay for the process, made with the keys as strings: as the library's README has it."""

from alipay import AliPay
from django.conf import settings

alipay = AliPay(
    appid=settings.APP_ID,
    app_notify_url=None,
    app_private_key_string=settings.APP_PRIVATE_KEY_STRING,
    alipay_public_key_string=settings.ALIPAY_PUBLIC_KEY_STRING,
    sign_type="RSA2",
    debug=settings.DEBUG,
)
