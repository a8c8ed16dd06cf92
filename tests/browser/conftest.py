"""A real Chromium on a real web server: the admin as its users see it."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoDbBlocker
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.needs import require
from tests.services import scratch_directory
from tests.services.processes import Platform
from tests.switching import broker_url, database_url
from tests.waiting import wait_until

PASSWORD = "correct horse"
QUIET = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --force-device-scale-factor=1 --window-size=1440,1000"
)


class Browser:
    """What a user does: open a page below ``/admin``, read it, click, type."""

    def __init__(self, driver: webdriver.Chrome, url: str, shots: Path | None) -> None:
        self.driver = driver
        self.url = url
        self.shots = shots

    def open(self, path: str) -> None:
        self.driver.get(f"{self.url}/admin{path}")

    def find(self, css: str) -> WebElement:
        wait_until(lambda: self._first(css), message=lambda: f"no {css} on {self.driver.current_url}")
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def click(self, css: str) -> None:
        """Click what leads to another page, and wait for it."""
        element, page = self.find(css), self.driver.find_element(By.TAG_NAME, "html").id
        element.click()
        wait_until(lambda: self._page() not in (None, page), message=f"{css} led nowhere")
        wait_until(lambda: self.driver.execute_script("return document.readyState") == "complete")

    def type(self, css: str, text: str) -> None:
        field = self.find(css)
        field.clear()
        field.send_keys(text)

    def choose(self, css: str, value: str) -> None:
        self.find(f'{css} option[value="{value}"]').click()

    @property
    def text(self) -> str:
        return " ".join(self.driver.find_element(By.TAG_NAME, "body").text.split())

    def colour(self, css: str, name: str = "background-color") -> str:
        return str(self.find(css).value_of_css_property(name))

    def shoot(self, name: str) -> None:
        """Keep a picture, where the environment's SCREENSHOTS names a directory."""
        if self.shots is not None:
            self.driver.save_screenshot(str(self.shots / f"{name}.png"))

    def complaints(self) -> list[str]:
        """What the browser's console says is wrong: a missing style sheet, a script's error."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def _first(self, css: str) -> WebElement | None:
        return next(iter(self.driver.find_elements(By.CSS_SELECTOR, css)), None)

    def _page(self) -> str | None:
        found = self.driver.find_elements(By.TAG_NAME, "html")
        return found[0].id if found else None


@pytest.fixture(scope="session")
def _driver() -> Iterator[webdriver.Chrome]:
    require(["chromium"])
    profile = tempfile.mkdtemp(prefix="cnaasjobs-chromium-")
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in (*QUIET.split(), f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture(scope="session")
def _web_url(django_db_setup: None, django_db_blocker: DjangoDbBlocker, _embedded_broker: None) -> Iterator[str]:
    """One web server for all tests, on the suite's own database."""
    directory = scratch_directory("browser")
    with django_db_blocker.unblock():
        platform = Platform(database_url=database_url(), broker_url=broker_url(), directory=directory)
    try:
        platform.web()
        yield platform.url
    finally:
        platform.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def browser(_driver: webdriver.Chrome, _web_url: str, transactional_db: None) -> Browser:
    """A user who has not logged in yet."""
    _driver.get("about:blank")
    _driver.delete_all_cookies()
    kept = os.environ.get("SCREENSHOTS")
    browser = Browser(_driver, _web_url, Path(kept) if kept else None)
    browser.complaints()  # those of the test before
    return browser


@pytest.fixture
def logged_in(browser: Browser) -> Callable[[], Browser]:
    """Logs the superuser "boss" in, through the login page."""

    def log_in() -> Browser:
        User.objects.create_superuser("boss", password=PASSWORD)
        browser.open("/")
        browser.type("#id_username", "boss")
        browser.type("#id_password", PASSWORD)
        browser.click("input[type=submit]")
        return browser

    return log_in
