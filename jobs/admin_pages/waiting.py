"""Why a SCHEDULED job is not running yet, in sentences with links."""

from datetime import datetime

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.admin_pages.toolkit.show import job_link, moment
from jobs.models import Job
from jobs.waiting.reasons import Holds, Named, Part, Reason, part_in_words
from jobs.waiting.why import reasons_of

_NOBODY_MENDS_IT_BUT_A_PERSON = {Holds.QUEUE, Holds.TASK, Holds.BEAT}


def reasons(job: Job) -> list[SafeString]:
    return [_sentence(reason) for reason in reasons_of([job])[job.pk]]


def _sentence(reason: Reason) -> SafeString:
    words = format_html_join("", "{}", ((_part(part),) for part in reason.sentence))
    return format_html("<strong>{}</strong>", words) if reason.holds in _NOBODY_MENDS_IT_BUT_A_PERSON else words


def _part(part: Part) -> SafeString | str:
    match part:
        case Named(job_id, function_name):
            return format_html("job {} ({})", job_link(job_id), function_name or "gone")
        case datetime():
            return format_html("{} UTC", moment(part))
        case _:
            return part_in_words(part)
