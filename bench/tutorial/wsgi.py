"""The WSGI application, its objects out of the garbage collector's way as ours are."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.tutorial.settings")

application = get_wsgi_application()

from bench.tutorial import urls  # noqa: E402, F401 - as the first request would load them

gc.collect()
gc.freeze()
