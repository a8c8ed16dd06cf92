"""The URLs of the console, below ``/``."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter, PathConverter, StringConverter
from django.views.generic import RedirectView

from cnaasjobs.identity.sign_in import Callback, ProviderSignIn
from console.access import SignIn, SignOut
from console.pages import actions, approving, devices, devices_of_job, job, jobs, locks, schedules, timeline, workers
from jobs.states import CameOf


class Id(IntConverter):
    """As large as ids in the database can be; no row has a longer number."""

    regex = "[0-9]{1,18}"


class Name(PathConverter):
    """Of a device: any characters, a line break too."""

    regex = r"[\s\S]+"


class CameOfConverter(StringConverter):
    regex = "|".join(CameOf)


register_converter(CameOfConverter, "came_of")
register_converter(Id, "id")
register_converter(Name, "name")

app_name = "console"
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="console:jobs", query_string=True), name="home"),
    path("jobs", jobs.jobs, name="jobs"),
    path("jobs/rows", jobs.rows, name="rows"),
    path("jobs/abort", actions.abort, name="abort"),
    path("jobs/failed", actions.again_on_failed, name="again_on_failed"),
    path("jobs/<id:job_id>", job.job, name="job"),
    path("devices", devices.devices, name="devices"),
    path("devices/<name:name>", devices.device, name="device"),
    path("locks", locks.locks, name="locks"),
    path("locks/clear", locks.clear, name="clear_lock"),
    path("timeline", timeline.last_day, name="timeline"),
    path("schedules", schedules.schedules, name="schedules"),
    path("schedules/<id:schedule_id>/run", schedules.run_schedule, name="run_schedule"),
    path("workers", workers.workers, name="workers"),
    path("jobs/<id:job_id>/run/<came_of:kind>", actions.run_again, name="again"),
    path("jobs/<id:job_id>/approve", approving.approve, name="approve"),
    path("jobs/<id:job_id>/raw", job.raw, name="raw"),
    path("jobs/<id:job_id>/devices.csv", devices_of_job.as_csv, name="devices_csv"),
    path("jobs/<id:job_id>/diff", devices_of_job.diffs, name="diffs"),
    path("jobs/<id:job_id>/log", devices_of_job.log, name="log"),
    path("jobs/<id:job_id>/devices/<name:host>", devices_of_job.device, name="job_device"),
    path("sign-in", SignIn.as_view(), name="sign_in"),
    path("sign-in/provider", ProviderSignIn.as_view(), name="provider"),
    path("sign-in/provider/back", Callback.as_view(), name="provider_back"),
    path("sign-out", SignOut.as_view(), name="sign_out"),
]
