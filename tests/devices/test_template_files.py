"""Files below the templates' directory: nothing outside of it is read, and faults are named."""

import os
from pathlib import Path

import pytest
from pytest_django import Settings

from cnaasjobs.secrecy import Secrets
from devices.rendering import TemplateFailure, refresh, render
from tests.devices.lab import Lab
from tests.devices.rendered import failure, host, rendered

CANARY = "Hunter2"


@pytest.fixture(autouse=True)
def outside(lab: Lab, tmp_path: Path) -> Path:
    """A directory beside the templates, with a template that nobody may read."""
    lab.add("sw1")
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "full.j2").write_text(CANARY)
    (directory / "mapping.yml").write_text("ACCESS: {entrypoint: full.j2}\n")
    return directory


def refused(lab: Lab) -> str:
    refresh()
    with pytest.raises(TemplateFailure) as caught:
        render(host(), Secrets({}))
    assert CANARY not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("platform", [".", "..", "../outside", "a/b", "/etc", "lab/../../outside", "..\x00"])
def test_a_platform_must_be_a_name(lab: Lab, platform: str) -> None:
    lab.hosts["sw1"]["platform"] = platform
    lab.write()
    assert refused(lab).endswith("can't be the name of a platform")


@pytest.mark.parametrize("name", ["../outside/full.j2", "a/../../outside/full.j2", "../../../../etc/passwd", ".."])
def test_a_template_must_not_go_up(lab: Lab, name: str) -> None:
    assert failure(lab, f"{{% include '{name}' %}}") == f"template {name} must not have '..' in its name"
    (lab.templates / "lab" / "mapping.yml").write_text(f"ACCESS: {{entrypoint: '{name}'}}")
    assert refused(lab) == f"template {name} must not have '..' in its name"


@pytest.mark.parametrize("name", ["/etc/passwd", "./etc/passwd", "a\\\\..\\\\b", "x" * 300, "a\\x00b"])
def test_other_names_are_looked_for_below_the_platform_only(lab: Lab, name: str) -> None:
    assert failure(lab, f'{{% include "{name}" %}}').startswith("template ")


def test_a_refused_template_is_refused_whatever_the_template_would_do_about_it(lab: Lab) -> None:
    assert rendered(lab, "a{% include 'nosuch.j2' ignore missing %}b") == "ab"
    said = failure(lab, "a{% include ['nosuch.j2', '../outside/full.j2'] ignore missing %}b")
    assert said == "template ../outside/full.j2 must not have '..' in its name"


def test_a_link_out_of_the_templates_is_refused(lab: Lab, outside: Path) -> None:
    links = {"file.j2": outside / "full.j2", "passwd.j2": Path("/etc/passwd"), "directory": outside}
    for name, target in links.items():
        (lab.templates / "lab" / name).symlink_to(target)
    for name in ("file.j2", "passwd.j2", "directory/full.j2"):
        said = failure(lab, f"{{% include '{name}' ignore missing %}}")
        assert said == f"template {name} is a link out of the templates"


def test_a_platform_and_a_mapping_that_are_links_out_are_refused(lab: Lab, outside: Path) -> None:
    (lab.templates / "lab" / "mapping.yml").unlink()
    (lab.templates / "lab" / "mapping.yml").symlink_to(outside / "mapping.yml")
    assert "lab/mapping.yml is a link out of the templates" in refused(lab)
    (lab.templates / "elsewhere").symlink_to(outside)
    lab.hosts["sw1"]["platform"] = "elsewhere"
    lab.write()
    assert "elsewhere/mapping.yml is a link out of the templates" in refused(lab)


def test_links_within_the_templates_are_followed(lab: Lab, settings: Settings, tmp_path: Path) -> None:
    lab.template("common {{ host }}", name="common.j2", platform="shared")
    (lab.templates / "lab" / "common.j2").symlink_to("../shared/common.j2")
    (lab.templates / "alias").symlink_to("lab")
    (tmp_path / "current").symlink_to(lab.templates)
    settings.CNAASJOBS_TEMPLATES = tmp_path / "current"
    lab.hosts["sw1"]["platform"] = "alias"
    lab.write()
    assert rendered(lab, "{% include 'common.j2' %}") == "common sw1"


def test_a_link_that_leads_elsewhere_by_now_is_read_again(lab: Lab) -> None:
    for name in ("one", "two"):
        lab.template(name, name=f"{name}.j2")
    link = lab.templates / "lab" / "link.j2"
    link.symlink_to("one.j2")
    assert rendered(lab, "{% include 'link.j2' %}") == "one"
    link.unlink()
    link.symlink_to("two.j2")
    refresh()
    assert render(host(), Secrets({})) == "two"


def test_what_is_no_template_is_reported(lab: Lab) -> None:
    directory = lab.templates / "lab"
    (directory / "sub").mkdir()
    os.mkfifo(directory / "pipe.j2")
    (directory / "binary.j2").write_bytes(b"abc\xff")
    (directory / "loop.j2").symlink_to("loop.j2")
    with (directory / "huge.j2").open("wb") as file:
        file.truncate(17 << 20)
    for name, said in {
        "sub": "can't be read: Is a directory",
        "pipe.j2": "is not a file",
        "binary.j2": "is not UTF-8 (at byte 3)",
        "loop.j2": "can't be read: Too many levels of symbolic links",
        "huge.j2": "is larger than 16 MB",
    }.items():
        assert failure(lab, f"{{% include '{name}' %}}") == f"template {name} {said}"


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("ACCESS: [", "lab/mapping.yml, line 1: "),
        ("ACCESS: {entrypoint: *Hunter2}", "lab/mapping.yml, line 1: found undefined alias"),
        ("ACCESS: {}\nACCESS: {a: Hunter2}", "lab/mapping.yml, line 2: found duplicate key"),
        ("\x01", "lab/mapping.yml holds a character that YAML does not allow"),
        (b"\xff", "lab/mapping.yml is not UTF-8 (at byte 0)"),
        (None, "lab/mapping.yml can't be read: No such file or directory"),
    ],
)
def test_a_mapping_that_is_broken_or_missing_is_named_with_the_setting(
    lab: Lab, mapping: str | bytes | None, said: str
) -> None:
    file = lab.templates / "lab" / "mapping.yml"
    file.unlink() if mapping is None else file.write_bytes(mapping.encode() if isinstance(mapping, str) else mapping)
    message = refused(lab)
    assert message.startswith(f"no templates for platform lab: {lab.templates}/{said}")
    assert message.endswith(f" (CNAASJOBS_TEMPLATES is {lab.templates})")


def test_missing_templates_are_named_with_the_setting(lab: Lab, settings: Settings, tmp_path: Path) -> None:
    lab.hosts["sw1"]["platform"] = "nosuch"
    lab.write()
    at = f"(CNAASJOBS_TEMPLATES is {lab.templates})"
    assert refused(lab) == (
        f"no templates for platform nosuch: {lab.templates}/nosuch can't be read: No such file or directory {at}"
    )
    settings.CNAASJOBS_TEMPLATES = tmp_path / "nowhere"
    assert refused(lab) == (
        f"no templates for platform nosuch: {tmp_path}/nowhere can't be read: No such file or directory"
        f" (CNAASJOBS_TEMPLATES is {tmp_path}/nowhere)"
    )
