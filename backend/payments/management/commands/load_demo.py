"""People and courses to try the shop with."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from backend.accounts.models import User
from backend.courses.models import Course

SUBJECTS = (
    ("Python 编程", "从第一行代码到完整的命令行程序。"),
    ("Django 网站开发", "模型、视图、模板与部署，一个真实的商城项目。"),
    ("Vue 3 前端", "组合式 API、路由、状态管理与组件测试。"),
    ("GraphQL 接口设计", "类型、查询、变更，以及一个能长期维护的契约。"),
    ("PostgreSQL 数据库", "索引、事务与执行计划，写出快而正确的 SQL。"),
    ("Redis 实战", "缓存、队列、分布式锁，以及它们各自的陷阱。"),
    ("Linux 运维", "进程、网络、存储与排错，命令行里的日常。"),
    ("Docker 与 Kubernetes", "镜像、编排与滚动发布。"),
    ("算法与数据结构", "用 Python 写清楚，讲明白复杂度。"),
    ("支付系统设计", "签名、异步通知、对账与退款：钱为什么不会丢。"),
)
LEVELS = (("入门", 1990), ("进阶", 9900), ("实战", 19900), ("大师班", 59900))


class Command(BaseCommand):
    help = "Buyers buyer and buyer2, the operator staff (each password is the name), and 40 courses. Idempotent."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ALIPAY_REAL_MONEY:
            raise CommandError("Refused: this shop takes real money, and the demo's passwords are known to everyone.")
        with transaction.atomic():
            for name in ("buyer", "buyer2", "staff"):
                self.ensure_user(name)
            for name, summary, price_fen in demo_courses():
                Course.objects.get_or_create(name=name, defaults={"summary": summary, "price_fen": price_fen})
        self.stdout.write("Demo data is there: buyer, buyer2, staff, and 40 courses.")

    def ensure_user(self, name: str) -> None:
        if not User.objects.filter(username=name).exists():
            operator = name == "staff"
            User.objects.create_user(name, password=name, is_staff=operator, is_superuser=operator)


def demo_courses() -> list[tuple[str, str, int]]:
    """Ten subjects at four levels, each at a price of its own."""
    return [
        (f"{title}·{level}", summary, base + 110 * position)
        for position, (title, summary) in enumerate(SUBJECTS)
        for level, base in LEVELS
    ]
