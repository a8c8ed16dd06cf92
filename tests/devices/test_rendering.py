"""Templates: what they may use, how their faults read, and that they are compiled once."""

import shutil

import pytest

from cnaasjobs.secrecy import Secrets
from devices.rendering import TemplateFailure, refresh, render
from tests.devices.lab import Lab
from tests.devices.rendered import host, rendered


@pytest.fixture(autouse=True)
def hosts(lab: Lab) -> None:
    lab.groups["access"]["data"] |= {"site": "lund", "motd": "of the group"}
    lab.add("sw1")


def test_merged_data_the_name_and_secrets_are_its_variables(lab: Lab) -> None:
    text = "{{ host }} {{ site }} {{ motd }} {{ TEMPLATE_SECRET_A }}"
    assert rendered(lab, text, TEMPLATE_SECRET_A="hunter2") == "sw1 lund hello hunter2"


def test_a_key_that_is_no_text_is_no_variable(lab: Lab) -> None:
    lab.hosts["sw1"]["data"] = {100: "users", None: "x", True: "y", "vlans": {200: "voice"}}
    lab.write()
    assert rendered(lab, "{{ host }} {{ vlans[200] }}") == "sw1 voice"


def test_a_byte_order_mark_is_no_part_of_a_template(lab: Lab) -> None:
    lab.template("\ufeffpart", name="part.j2")
    assert rendered(lab, "\ufeffhostname {{ host }} {% include 'part.j2' %}") == "hostname sw1 part"
    mapping = lab.templates / "lab" / "mapping.yml"
    mapping.write_text("\ufeff" + mapping.read_text())
    refresh()
    assert render(host(), Secrets({})) == "hostname sw1 part"


def test_blocks_leave_no_lines_behind_and_the_last_newline_stays(lab: Lab) -> None:
    assert rendered(lab, "a\n  {% if true %}\nb\n  {% endif %}\n") == "a\nb\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n{{ nosuch }}", "template full.j2 line 2: 'nosuch' is undefined"),
        ("{{ site.nosuch.deeper }}", "has no attribute 'nosuch'"),
        ("a\nb\n{% if %}", "template full.j2 line 3: Expected an expression"),
        ("{% include 'nosuch.j2' %}", "template nosuch.j2 not found"),
        ("{{ 1 / 0 }}", "template full.j2 line 1: division by zero"),
        ("{{ site + 1 }}", "template full.j2 line 1: can only concatenate"),
    ],
)
def test_faults_name_the_template_and_the_line(lab: Lab, text: str, said: str) -> None:
    with pytest.raises(TemplateFailure) as caught:
        rendered(lab, text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ {}['y' * 900 ~ TEMPLATE_SECRET_A] }}",
        "{{ {}['y' * 9900 ~ TEMPLATE_SECRET_A] }}",
        "{% include TEMPLATE_SECRET_A %}",
        "{% include '../' ~ TEMPLATE_SECRET_A %}",
        "{% include 'y' * 60 ~ TEMPLATE_SECRET_A %}",
        "{{ TEMPLATE_SECRET_A|int(0)|nosuch }}",
        "{{ [1] + TEMPLATE_SECRET_A }}",
    ],
)
def test_a_faults_text_shows_no_part_of_a_secret(lab: Lab, text: str) -> None:
    """Masked before it is folded and cut: half a secret, or one on one line, is not recognised any more."""
    secret = "line 1\n  a  b\n" + "s3cret-" * 30
    lab.template(text)
    refresh()
    with pytest.raises(TemplateFailure) as caught:
        render(host(), Secrets({"TEMPLATE_SECRET_A": secret}))
    assert "s3cret" not in str(caught.value)
    assert "a b" not in str(caught.value)
    assert len(str(caught.value)) <= 1000


def test_a_fault_in_an_included_template_is_named_there(lab: Lab) -> None:
    lab.template("x\n{{ nosuch }}\n", name="part.j2")
    with pytest.raises(TemplateFailure, match=r"part\.j2 line 2"):
        rendered(lab, "{% include 'part.j2' %}")


def test_a_changed_template_is_used_by_the_next_job(lab: Lab) -> None:
    lab.template("one {% include 'part.j2' %}")
    lab.template("1", name="part.j2")
    assert render(host(), Secrets({})) == "one 1"
    lab.template("22", name="part.j2")
    assert render(host(), Secrets({})) == "one 1"  # all devices of a job by the same templates
    refresh()
    assert render(host(), Secrets({})) == "one 22"
    assert rendered(lab, "three") == "three"


def test_a_template_that_is_gone_is_missed_by_the_next_job(lab: Lab) -> None:
    assert rendered(lab, "one") == "one"
    (lab.templates / "lab" / "full.j2").unlink()
    refresh()
    with pytest.raises(TemplateFailure, match=r"full\.j2 not found"):
        render(host(), Secrets({}))


def test_templates_that_cannot_be_looked_at_are_their_own_devices_failure(lab: Lab) -> None:
    assert rendered(lab, "one") == "one"
    shutil.rmtree(lab.templates / "lab")
    (lab.templates / "lab").write_text("no directory")
    refresh()
    with pytest.raises(TemplateFailure, match="no templates for platform lab"):
        render(host(), Secrets({}))


def test_a_changed_mapping_is_used_by_the_next_job(lab: Lab) -> None:
    assert rendered(lab, "one") == "one"
    lab.template("other", name="other.j2")
    (lab.templates / "lab" / "mapping.yml").write_text("ACCESS: {entrypoint: other.j2}\n")
    refresh()
    assert render(host(), Secrets({})) == "other"


def test_templates_are_compiled_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.add("sw2")
    assert rendered(lab, "{{ host }}") == "sw1"
    monkeypatch.setattr("jinja2.Environment.compile", None)
    assert render(host("sw2"), Secrets({})) == "sw2"


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        (None, "no templates for platform lab"),
        ("ACCESS: [", "no templates for platform lab"),
        ("DIST: {entrypoint: full.j2}", "lab/mapping.yml has no entrypoint for device type ACCESS"),
        ("ACCESS: full.j2", "no entrypoint"),
        ("just text", "lab/mapping.yml must be a mapping of device types"),
    ],
)
def test_a_mapping_that_does_not_say_is_named(lab: Lab, mapping: str | None, said: str) -> None:
    file = lab.templates / "lab" / "mapping.yml"
    file.unlink() if mapping is None else file.write_text(mapping)
    with pytest.raises(TemplateFailure, match=said):
        render(host(), Secrets({}))


@pytest.mark.parametrize("platform", [None, "", "../lab", "nosuch"])
def test_a_platform_without_templates_is_reported(lab: Lab, platform: str | None) -> None:
    lab.hosts["sw1"]["platform"] = platform
    lab.write()
    with pytest.raises(TemplateFailure):
        render(host(), Secrets({}))
