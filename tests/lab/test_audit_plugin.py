"""The pytest plugin, in runs of pytest of their own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:cacheprovider")
    return pytester


def test_one_line_audits_a_right_source(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from mtsid import Allocator

        def test_no_id_is_in_use_twice(mtsid_audit):
            ids = Allocator(1, 100)
            report = mtsid_audit(ids.acquire, ids.release, operations=1000, threads=2)
            assert report.second_release.kind == "refused"
            assert report.threads == 2
        """
    )
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=1)


def test_a_duplicate_fails_the_test_with_the_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import itertools

        def test_no_id_is_in_use_twice(mtsid_audit):
            mtsid_audit(itertools.cycle(range(100)).__next__, None, operations=1000)
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["mtsid audit, 4 threads, 16 ids held meanwhile", "The first duplicate", "Acquire 1 *"])
    assert "__tracebackhide__" not in result.stdout.str()


def test_what_is_no_id_source_fails_the_test_and_says_why(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(mtsid_audit): mtsid_audit(lambda: None, None)")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ValueError: the first acquire returned None*"])


def test_a_run_that_does_not_use_it_does_not_import_the_package(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert "pytest_mtsid" in sys.modules
            assert "mtsid" not in sys.modules
            assert "numpy" not in sys.modules
        """
    )
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=1)


def test_it_needs_nothing_of_the_extra_lab(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import sys; sys.modules.update(rich=None, simpy=None)")
    pytester.makepyfile(
        """
        from mtsid import Allocator

        def test_no_id_is_in_use_twice(mtsid_audit):
            ids = Allocator(1, 100)
            assert "No id was in use twice" in str(mtsid_audit(ids.acquire, ids.release, operations=1000))
        """
    )
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=1)


def test_the_fixture_is_listed_with_its_use(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--fixtures", "-v")
    assert "`mtsid_audit(acquire, release, **options)`: fail with the report" in result.stdout.str()
