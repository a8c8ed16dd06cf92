"""No secret gets into the log, whatever logs it."""

import json
import logging

import pytest

from cnaasjobs.masked_logs import MaskedJsonFormatter


def test_a_secret_in_anybodys_log_line_is_replaced_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPLATE_SECRET_SNMP", 'very "secret" value')
    record = logging.LogRecord("ncclient", logging.DEBUG, __file__, 1, "sent %s", ('<x>very "secret" value</x>',), None)
    line = MaskedJsonFormatter("%(message)s").format(record)
    assert json.loads(line) == {"message": "sent <x>TEMPLATE_SECRET_SNMP</x>"}


def test_what_json_has_no_form_for_is_masked_too_and_all_lines_are_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPLATE_SECRET_SNMP", "secret-value")
    for more in ({"cause": ValueError("secret-value é")}, {"cause": "secret-value é"}):
        record = logging.makeLogRecord({"msg": "sent", **more})
        line = MaskedJsonFormatter("%(message)s").format(record)
        assert line.isascii()
        assert "TEMPLATE_SECRET_SNMP \u00e9" in json.loads(line)["cause"]
