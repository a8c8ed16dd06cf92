"""Why a job waits, in sentences with links."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from console.templatetags.looks import moment
from jobs.waiting.reasons import Holds, Named, Part, Reason, in_words

_NOBODY_MENDS_IT_BUT_A_PERSON: Final = {Holds.QUEUE, Holds.TASK, Holds.BEAT}


def sentences_of(reasons: Iterable[Reason]) -> list[SafeString]:
    return [_sentence(reason) for reason in reasons]


def _sentence(reason: Reason) -> SafeString:
    words = format_html_join("", "{}", ((_part(part),) for part in reason.sentence))
    return format_html("<strong>{}</strong>", words) if reason.holds in _NOBODY_MENDS_IT_BUT_A_PERSON else words


def _part(part: Part) -> SafeString | str:
    match part:
        case Named(job_id, None):
            return f"job {job_id} (gone)"
        case Named(job_id, function_name):
            url = reverse("console:job", args=[job_id])
            return format_html('<a href="{}">job {}</a> ({})', url, job_id, function_name)
        case datetime():
            return moment(part)
        case timedelta():
            return in_words(part)
    # A name given by a person or a device may reverse the direction of text: only its own is affected.
    return part if part.isascii() else format_html("<bdi>{}</bdi>", part)
