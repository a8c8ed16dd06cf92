"""A commit that its device reverts unless it is confirmed in time, and whether the pending commit is ours.

NAPALM confirms, or rolls back, whatever is pending, and on some platforms that may be another user's commit. So a
commit counts as ours only if its call returned, nothing was pending on the device just before it, and the same commit
is still pending, as far as the driver can tell. Near the end of its timer it is left alone: a rollback after the
device's own would undo the previous commit.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from devices.actions import DeviceAction
from devices.sync.device import Device
from devices.sync.words import DeviceFailure, Words

LEFT_ALONE_SECONDS: Final = 10.0  # seconds before the timer's end
ROLLED_BACK: Final = "rolled back"
NOTHING_PENDING: Final = "no commit is pending on the device: it reverted, was confirmed, or its driver has no timers"


class TimedCommit:
    """Made by committing the candidate of an open device."""

    def __init__(self, device: Device, words: Words, *, revert_in: int) -> None:
        """
        Raises:
            DeviceFailure: the commit call failed. If a commit is pending now, it may not be ours.
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
            DeviceFailure: it is not confirmed, or this is unknown.
        """
        if self._near_its_end():
            raise DeviceFailure("too late to confirm the commit")
        if why := self._not_ours():
            self._is_over = True
            raise DeviceFailure(why)
        self._device.confirm_commit()

    def take_back(self) -> str:
        """Roll it back if it is certainly ours; returns what happened to it.

        Empty if ``confirm`` has already said that.
        """
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
        """Why the pending commit is not ours; empty if it is."""
        name = None if self._name is None else self._device.pending_name()
        if name is None:  # its driver can't distinguish commits
            return "" if self._device.has_pending_commit() else NOTHING_PENDING
        if not name:
            return NOTHING_PENDING
        return "" if name == self._name else "a commit other than ours is pending on the device"
