"""A commit that its device takes back by itself unless it is confirmed in time, and whether what is pending is ours.

NAPALM confirms, or rolls back, whatever is pending, and on some platforms that is anybody's. So ours is only one whose
commit call returned, on a device where nothing was pending just before it, and where still the same is pending, as far
as the driver can tell one from another. Near its end it is left alone: a rollback that comes after the device's own
would undo the commit before.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from devices.actions import DeviceAction
from devices.sync.device import Device
from devices.sync.words import DeviceFailure, Words

LEFT_ALONE_SECONDS: Final = 10.0  # before the timer's end
ROLLED_BACK: Final = "rolled back"
NOTHING_PENDING: Final = "no commit is pending on the device: it reverted, was confirmed, or its driver has no timers"


class TimedCommit:
    """Made by committing the candidate of an open device."""

    def __init__(self, device: Device, words: Words, *, revert_in: int) -> None:
        """
        Raises:
            DeviceFailure: the commit call failed. What is pending now, if anything is, may be anybody's.
        """
        self._device = device
        self._words = words
        self._ends = time.monotonic() + revert_in
        device.commit(revert_in=revert_in)
        self._name = device.pending_name()
        self._reverts_by = datetime.now(UTC) + timedelta(seconds=revert_in)
        self._is_over = False

    @property
    def reverts(self) -> str:
        return f"reverts by itself by {self._reverts_by:%H:%M:%S} UTC"

    def confirm(self) -> None:
        """
        Raises:
            DeviceFailure: it is not confirmed, or nobody can say.
        """
        if self._near_its_end():
            raise DeviceFailure("too late to confirm the commit")
        if why := self._not_ours():
            self._is_over = True
            raise DeviceFailure(why)
        self._device.confirm_commit()

    def take_back(self) -> str:
        """Roll it back if it is certainly ours; says what became of it. Empty if ``confirm`` has said that already."""
        if self._is_over:
            return ""
        if self._near_its_end():
            return self.reverts
        try:
            if why := self._not_ours():
                return f"not rolled back ({why})"
            self._device.rollback()
        except DeviceFailure as failure:
            self._words.record(DeviceAction.ROLLBACK_FAILED, str(failure), failure)
            return f"{self.reverts} ({failure})"
        return ROLLED_BACK

    def _near_its_end(self) -> bool:
        return time.monotonic() > self._ends - LEFT_ALONE_SECONDS

    def _not_ours(self) -> str:
        """Why it is not ours that is pending; empty if it is."""
        name = None if self._name is None else self._device.pending_name()
        if name is None:  # its driver can't tell one from another
            return NOTHING_PENDING if self._device.has_pending_commit() is False else ""
        if not name:
            return NOTHING_PENDING
        return "" if name == self._name else "another commit than ours is pending on the device"
