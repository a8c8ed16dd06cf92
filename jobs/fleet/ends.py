"""How a participant's body ends: it leaves, or it carries out the end of the job that another had met."""

from typing import Self

from jobs.end_reasons import Failure
from jobs.errors import JobAborted, JobStopped, LockLost


class Left(BaseException):
    """Raised by ``ctx.each`` if the job goes on elsewhere. It passes through the body, and nothing is stored.

    Not an ``Exception``: a body that catches everything must not take it for a failure.
    """


class RunTaken(LockLost):
    """The run is over, or this process was judged lost: what happens to the job is no longer its business."""


class GivenBack(JobStopped):
    """A device is no longer this participant's: the database crashed, and had not kept that it was taken.

    The job goes on. Nothing was changed on the device, and the next participant to take it starts over.
    """


class BodyEnds(JobStopped):
    """The body is ending by an exception of its own. Its threads stop, but this is not why the job ends."""


class EndedElsewhere(JobAborted):
    """Another participant met the end of the job first, and noted it."""


class EndMet(Exception):
    """This is the last participant, and the job ends as another one, or upkeep, has noted."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure

    @classmethod
    def of(cls, noted: str) -> Self:
        return cls(Failure.parsed(noted))
