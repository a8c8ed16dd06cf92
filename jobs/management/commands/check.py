"""Django's ``check``, which also looks for jobs that can't be imported.

Other commands run Django's checks too, and must not fail for such a job: ``migrate``, or one that aborts jobs.
"""

from typing import Any

from django.core import checks
from django.core.management.commands import check


class Command(check.Command):
    def handle(self, *app_labels: Any, **options: Any) -> None:
        if not (app_labels or options["tags"] or options["deploy"]):  # with ``--deploy`` they are among the others
            level = getattr(checks, options["fail_level"])
            self.check(tags=["jobs"], include_deployment_checks=True, fail_level=level)
        super().handle(*app_labels, **options)
