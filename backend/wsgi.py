"""The WSGI application: queries, mutations, the REST edge and the admin."""

import gc
import os

from django.core.wsgi import get_wsgi_application

from backend.checks import refuse_wrong_setup

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")

application = get_wsgi_application()

# A server runs no management command, and with it no system checks.
refuse_wrong_setup()

# The checks have loaded every address, and with them the schema. What is there now stays as long as the process does:
# the garbage collector need not walk over it again and again.
gc.collect()
gc.freeze()
# What a request makes is gone when it ends, without the collector, which would look for it every few requests.
gc.set_threshold(20_000, 20, 20)
