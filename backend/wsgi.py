"""The WSGI application: queries, mutations, the REST edge and the admin."""

import gc
import logging
import os

from django.core import checks
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")

application = get_wsgi_application()


def refuse_wrong_setup() -> None:
    """Run the system checks that a management command would run: a server with a wrong set-up must not come up."""
    found = checks.run_checks()
    for message in found:
        logging.getLogger("coursepay.setup").log(message.level, "%s", message)
    if errors := [message for message in found if message.is_serious()]:
        raise SystemExit("Refused to start:\n" + "\n".join(str(error) for error in errors))


refuse_wrong_setup()

# The checks have loaded every address, and with them the schema. What is there now stays as long as the process does:
# the garbage collector need not walk over it again and again.
gc.collect()
gc.freeze()
