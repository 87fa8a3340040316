"""A pytest fixture that audits an id source: `mtsid_audit`. Installed with mtsid, found by pytest by itself.

    def test_no_packet_id_is_in_use_twice(mtsid_audit):
        mtsid_audit(client.next_id, client.free_id)

pytest imports this module in every run, whether or not a test wants it. So it is none of the package's own, and imports
nothing of that before the fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mtsid.lab import AuditReport

__all__ = ["mtsid_audit"]


@pytest.fixture
def mtsid_audit() -> Callable[..., AuditReport]:
    """`mtsid_audit(acquire, release, **options)`: fail with the report if an id is in use twice; else return it.

    Takes what `mtsid.lab.audit_ids` takes. What the report tells without judging can be asserted too:
    `assert mtsid_audit(acquire, release).second_release.kind == "refused"`.
    """
    from mtsid.lab import audit_ids

    def audit(acquire: Callable[[], Any], release: Callable[[Any], object] | None, **options: Any) -> AuditReport:
        __tracebackhide__ = True
        report = audit_ids(acquire, release, **options)
        if not report.ok:
            pytest.fail(str(report), pytrace=False)
        return report

    return audit
